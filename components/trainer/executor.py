"""The Trainer's work: data in, model trained, exported, recorded."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import json_utils, path_utils

from components import user_code
from components.node_folder import checkpoint_folder, node_folder
from components.trainer import ops, run_fn, weights_file
from components.trainer.announcement import announced
from components.trainer.cache import remove_examples
from components.trainer.cluster import Cluster, of_chief
from components.trainer.latest_blessed import BASE_MODEL
from components.trainer.processes import train_in_processes
from components.trainer.settings import LATEST_BLESSED, TrainerSettings
from components.trainer.source import Source
from components.trainer.strategy import make_strategy
from components.trainer.train import train
from lineage.records import CUSTOM_OPS, TrainingRecord

log = logging.getLogger("slipway.trainer")


class Executor(BaseExecutor):
    """Trains and exports; see `Trainer`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the outputs `model` and `model_run`."""
        settings = TrainerSettings.model_validate_json(exec_properties["settings"])
        if user_code.RUN_FN in user_code.functions(exec_properties["module_file"]):
            run_fn.run(user_code.load(exec_properties["module_file"]), settings, input_dict, output_dict)
            return
        work = json_utils.dumps([input_dict, output_dict, exec_properties])
        model_run = get_single_instance(output_dict["model_run"]).uri
        try:
            if settings.strategy == "multi_worker":
                _fit_in_processes(settings, work, model_run)
            else:
                fit(None, work)
        except Exception:  # not what SIGTERM and Ctrl-C raise: that is continued
            remove_examples(checkpoint_folder(model_run, input_dict, exec_properties))
            raise
        _record_ops(get_single_instance(output_dict["model"]), model_run)


def _record_ops(model: Artifact, model_run: str) -> None:
    """On the Model in MLMD; the process that knows may have been another one, so the record says it."""
    record = TrainingRecord.load(model_run)
    if record:
        model.set_string_custom_property(CUSTOM_OPS, record.custom_ops)


def _fit_in_processes(settings: TrainerSettings, work: str, model_run: str) -> None:
    chief = of_chief(settings.workers)
    local = [dataclasses.replace(chief, index=index) for index in range(settings.workers or 1)]
    with announced(chief, work, node_folder(model_run)):
        train_in_processes(local, fit, work, settings.restarts)


def fit(cluster: Cluster | None, work: str) -> None:
    """Trains as one of the processes of a cluster, or alone; the chief exports.

    Args:
      cluster: This process's place in a `multi_worker` training.
      work: The arguments of `Executor.Do`, by TFX's json_utils.
    """
    input_dict, output_dict, exec_properties = json_utils.loads(work)
    settings = TrainerSettings.model_validate_json(exec_properties["settings"])
    strategy = make_strategy(settings, cluster)
    which = ops.chosen(settings.ops)
    model_run = get_single_instance(output_dict["model_run"]).uri
    checkpoints = checkpoint_folder(model_run, input_dict, exec_properties)
    source = Source(input_dict, exec_properties)
    training = source.training(settings, strategy, checkpoints, _warm_start(settings, input_dict))
    with ops.running(which):
        trained, record = train(training, strategy, checkpoints, model_run)
    if cluster is not None and not cluster.is_chief:
        return
    record.save(model_run)
    source.export(trained, path_utils.serving_model_dir(get_single_instance(output_dict["model"]).uri))


def _warm_start(settings: TrainerSettings, input_dict: dict[str, list[Artifact]]) -> Path | None:
    """Where the weights lie that the training begins with."""
    if input_dict.get(BASE_MODEL):
        return Path(path_utils.serving_model_path(get_single_instance(input_dict[BASE_MODEL]).uri))
    if settings.warm_start == LATEST_BLESSED:
        log.info("There is no blessed model yet to begin with: the training starts from scratch.")
    return weights_file.find(settings.warm_start_path) if settings.warm_start_path else None
