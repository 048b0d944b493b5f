"""The Evaluator's interface: TFX's, with an executor that also leaves an EvaluationRecord."""

import tensorflow_model_analysis as tfma
from tfx import components as tfx_components
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import BaseChannel

from components.evaluator.executor import Executor

SPLIT = "test"


class Evaluator(tfx_components.Evaluator):
    """Evaluates the model on the test split with TFMA and blesses it against the thresholds of `eval_config`.

    The outputs are those of TFX's Evaluator; `evaluation` also holds an EvaluationRecord, which is what the report
    shows and where the reasons of a refusal are written.

    Example:
      >>> evaluator = Evaluator(
      ...     examples=example_gen.outputs["examples"],
      ...     model=trainer.outputs["model"],
      ...     baseline_model=baseline.outputs["model"],
      ...     eval_config=eval_config("binary", "big_tipper", slices=["payment_type"], metrics=[], bounds={}),
      ... )
    """

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: BaseChannel,
        model: BaseChannel,
        baseline_model: BaseChannel,
        eval_config: tfma.EvalConfig,
    ):
        super().__init__(
            examples=examples,
            model=model,
            baseline_model=baseline_model,
            eval_config=eval_config,
            example_splits=[SPLIT],
        )
