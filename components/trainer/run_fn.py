"""The escape hatch: a module with TFX's own `run_fn(fn_args)` trains and exports by itself, unchanged."""

from pathlib import Path
from types import ModuleType
from typing import Any

import keras
from tfx.components.trainer.fn_args_utils import FnArgs, get_common_fn_args
from tfx.proto import trainer_pb2
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.types.standard_component_specs import CUSTOM_CONFIG_KEY, EVAL_ARGS_KEY, TRAIN_ARGS_KEY
from tfx.utils import json_utils, path_utils, proto_utils

from components import dataset
from components.signatures import examples_signature
from components.trainer import weights_file
from components.trainer.settings import TrainerSettings
from components.trainer.strategy import grow_gpu_memory
from lineage.outcome import InputError

Artifacts = dict[str, list[Artifact]]


def run(module: ModuleType, settings: TrainerSettings, input_dict: Artifacts, output_dict: Artifacts) -> None:
    """Calls `module.run_fn`.

    Raises:
      InputError: it has not exported a SavedModel into `fn_args.serving_model_dir`, or one that cannot be asked about
        serialized tf.Examples.
    """
    grow_gpu_memory()
    keras.utils.set_random_seed(settings.seed)
    arguments = fn_args(settings, input_dict, output_dict)
    module.run_fn(arguments)
    if not Path(arguments.serving_model_dir, "saved_model.pb").is_file():
        raise InputError(
            f"run_fn has left no SavedModel in fn_args.serving_model_dir, {arguments.serving_model_dir}. Export the "
            "model there, such as with keras.export.ExportArchive."
        )
    examples_signature(arguments.serving_model_dir)


def fn_args(settings: TrainerSettings, input_dict: Artifacts, output_dict: Artifacts) -> FnArgs:
    """What TFX's Trainer gives to a `run_fn`.

    `train_steps` are those of `epochs` passes over the train split in batches of `batch_size`, `eval_steps` those of
    one over the eval split; `custom_config` is `hyperparameters`; `base_model` is what `warm_start` says.
    """
    examples = input_dict["examples"]
    train_steps, eval_steps = (_steps(examples, split, settings.batch_size) for split in ("train", "eval"))
    properties: dict[str, Any] = {
        TRAIN_ARGS_KEY: proto_utils.proto_to_json(trainer_pb2.TrainArgs(num_steps=settings.epochs * train_steps)),
        EVAL_ARGS_KEY: proto_utils.proto_to_json(trainer_pb2.EvalArgs(num_steps=eval_steps)),
        CUSTOM_CONFIG_KEY: json_utils.dumps(settings.hyperparameters),
    }
    arguments = get_common_fn_args(input_dict, properties)
    # The rest as tfx.components.trainer.executor.GenericExecutor does.
    model = get_single_instance(output_dict["model"]).uri
    arguments.transform_output = arguments.transform_graph_path
    arguments.schema_file = arguments.schema_path
    arguments.serving_model_dir = path_utils.serving_model_dir(model)
    arguments.eval_model_dir = path_utils.eval_model_dir(model)
    arguments.model_run_dir = get_single_instance(output_dict["model_run"]).uri
    if settings.warm_start_path:
        arguments.base_model = str(weights_file.find(settings.warm_start_path))
    return arguments


def _steps(examples: list[Artifact], split: str, batch_size: int) -> int:
    rows = dataset.records(examples, split).reduce(0, lambda count, _: count + 1)
    return -(-int(rows) // batch_size)
