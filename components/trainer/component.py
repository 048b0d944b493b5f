"""The Trainer's interface."""

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples, Model, ModelRun, Schema, TransformGraph

from components.trainer.executor import Executor
from components.trainer.settings import TrainerSettings


class TrainerSpec(ComponentSpec):
    """Inputs, outputs and execution properties; every property is part of the cache key."""

    INPUTS = {
        "examples": ChannelParameter(type=Examples),
        "schema": ChannelParameter(type=Schema),
        "transform_graph": ChannelParameter(type=TransformGraph, optional=True),
        "base_model": ChannelParameter(type=Model, optional=True),
    }
    OUTPUTS = {
        "model": ChannelParameter(type=Model),
        "model_run": ChannelParameter(type=ModelRun),
    }
    PARAMETERS = {
        "module_file": ExecutionParameter(type=str),
        "module_fingerprint": ExecutionParameter(type=str),
        "task": ExecutionParameter(type=str),
        "label": ExecutionParameter(type=str),
        "weight": ExecutionParameter(type=str, optional=True),
        "settings": ExecutionParameter(type=str),
        "warm_start_fingerprint": ExecutionParameter(type=str, optional=True),
    }


class Trainer(BaseComponent):
    """Trains the model that the user's `build_model` returns, or calls the user's `run_fn`, where there is one.

    The `train` split of `examples` is trained on, the `eval` split is validated on after each epoch; the weights of
    the best epoch (least `val_loss`) are exported. Output `model` is a SavedModel in TFX's layout with the signatures
    `serving_default` (raw features by name), `serve_examples` (serialized tf.Example) and, for the Quantizer,
    `transformed`. Output `model_run` holds TensorBoard logs, the best and the last checkpoint and a TrainingRecord.

    Where there is a `weight`, examples count by that feature in losses and metrics; it is no input of the model.

    The training begins with the weights of `base_model` where there is one, such as the model that a Resolver with the
    LatestBlessedStrategy gives, or with those at the path `settings.warm_start`, of which `warm_start_fingerprint` is
    what `weights_file.fingerprint` says.

    A `run_fn` is called with TFX's FnArgs, and exports by itself: `model` is what it writes, and of `settings` only
    those matter that are in `settings.FOR_RUN_FN`.

    Example:
      >>> trainer = Trainer(
      ...     examples=transform.outputs["transformed_examples"],
      ...     schema=schema.outputs["schema"],
      ...     transform_graph=transform.outputs["transform_graph"],
      ...     module_file="model.py",
      ...     module_fingerprint=user_code.fingerprint("model.py", user_code.HOOKS),
      ...     task="binary",
      ...     label="big_tipper",
      ...     settings=TrainerSettings(epochs=8, accumulate=4),
      ... )
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: BaseChannel,
        schema: BaseChannel,
        module_file: str,
        module_fingerprint: str,
        task: str,
        label: str,
        weight: str | None = None,
        transform_graph: BaseChannel | None = None,
        base_model: BaseChannel | None = None,
        settings: TrainerSettings | None = None,
        warm_start_fingerprint: str | None = None,
    ):
        super().__init__(
            spec=TrainerSpec(
                examples=examples,
                schema=schema,
                transform_graph=transform_graph,
                base_model=base_model,
                model=Channel(type=Model),
                model_run=Channel(type=ModelRun),
                module_file=module_file,
                module_fingerprint=module_fingerprint,
                task=task,
                label=label,
                weight=weight,
                settings=(settings or TrainerSettings()).model_dump_json(),
                warm_start_fingerprint=warm_start_fingerprint,
            )
        )
