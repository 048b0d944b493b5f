"""The Trainer's work: data in, model built, fitted, exported, recorded."""

import json
from typing import Any

import keras
import tensorflow_transform as tft
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import path_utils

from components import dataset, user_code
from components.trainer import export, fit, model


class Executor(BaseExecutor):
    """Trains and exports; see `Trainer`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the outputs `model` and `model_run`."""
        schema = dataset.read_schema(get_single_instance(input_dict["schema"]))
        transform = None
        if input_dict.get("transform_graph"):
            transform = tft.TFTransformOutput(get_single_instance(input_dict["transform_graph"]).uri)
        label = exec_properties["label"]
        spec = dataset.model_spec(schema, transform)
        examples = input_dict["examples"]
        train, validation = (dataset.read_split(examples, split, spec, label) for split in ("train", "eval"))

        keras.utils.set_random_seed(exec_properties["seed"])
        inputs = dataset.input_specs(spec, label)
        built = model.build(
            user_code.load(exec_properties["module_file"]),
            inputs,
            task=exec_properties["task"],
            hp=json.loads(exec_properties["hyperparameters"]),
        )
        model_run = get_single_instance(output_dict["model_run"]).uri
        record = fit.fit(built, train, validation, fit.Settings.of(exec_properties), model_run)
        record.save(model_run)
        export.export(
            built.model,
            path_utils.serving_model_dir(get_single_instance(output_dict["model"]).uri),
            inputs=inputs,
            raw_spec={name: feature for name, feature in dataset.raw_spec(schema).items() if name != label},
            transform=transform,
        )
