"""The Evaluator's work: TFX's own, then its results as a record."""

import json
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma
import tfx.components.evaluator.executor as tfx_evaluator
from tfx.components.evaluator import constants
from tfx.types import standard_component_specs
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import json_utils, path_utils, proto_utils

from components import dataset
from components.artifacts import LABEL_NAMES
from components.evaluator import compatibility, summary
from components.evaluator.eval_config import with_labels
from components.signatures import examples_signature

_CONFIG = standard_component_specs.EVAL_CONFIG_KEY


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
        config = proto_utils.json_to_proto(exec_properties[_CONFIG], tfma.EvalConfig())
        model = path_utils.serving_model_path(get_single_instance(input_dict["model"]).uri)
        config.model_specs[0].signature_name = examples_signature(model)
        config = with_labels(config, _labels(input_dict["examples"], split, config.model_specs[0].label_key))
        super().Do(input_dict, output_dict, {**exec_properties, _CONFIG: proto_utils.proto_to_json(config)})
        evaluation = get_single_instance(output_dict[constants.EVALUATION_KEY]).uri
        record = summary.summarize(
            evaluation,
            split,
            has_baseline=bool(input_dict.get("baseline_model")),
            weight=config.model_specs[0].example_weight_key,
            label_names=json.loads(input_dict["examples"][0].get_string_custom_property(LABEL_NAMES) or "[]"),
        )
        record.save(evaluation)


def _labels(examples: list[Artifact], split: str, label: str) -> int:
    """How many values the label of an example has."""
    example = tf.train.Example.FromString(next(dataset.records(examples, split).as_numpy_iterator()))
    feature = example.features.feature[label]
    return len(getattr(feature, feature.WhichOneof("kind") or "int64_list").value)
