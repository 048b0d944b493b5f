"""The Evaluator's work: TFX's own, then its results as a record."""

from typing import Any

import tfx.components.evaluator.executor as tfx_evaluator
from tfx.components.evaluator import constants
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import json_utils

from components.evaluator import compatibility, summary


class Executor(tfx_evaluator.Executor):
    """Runs TFMA, blesses, and writes an EvaluationRecord into `evaluation`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the outputs `evaluation` and `blessing`."""
        [split] = json_utils.loads(exec_properties["example_splits"])
        if not compatibility.can_compare(input_dict, split):
            input_dict = {**input_dict, "baseline_model": []}
        super().Do(input_dict, output_dict, exec_properties)
        evaluation = get_single_instance(output_dict[constants.EVALUATION_KEY]).uri
        summary.summarize(evaluation, split, has_baseline=bool(input_dict.get("baseline_model"))).save(evaluation)
