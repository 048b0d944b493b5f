"""The Trainer's work: data in, model trained, exported, recorded."""

import dataclasses
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import json_utils, path_utils

from components import dataset, user_code
from components.trainer import ops, run_fn, weights_file
from components.trainer.announcement import announced
from components.trainer.cache import cache_of, remove_examples
from components.trainer.cluster import Cluster, of_chief
from components.trainer.export import export
from components.trainer.latest_blessed import BASE_MODEL
from components.trainer.processes import train_in_processes
from components.trainer.settings import LATEST_BLESSED, TrainerSettings
from components.trainer.strategy import make_strategy
from components.trainer.train import train
from components.trainer.training import Training
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
            remove_examples(_checkpoint_folder(model_run, input_dict, exec_properties))
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
    with announced(chief, work, _node_folder(model_run)):
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
    schema = dataset.read_schema(get_single_instance(input_dict["schema"]))
    transform = dataset.read_transform(input_dict.get("transform_graph"))
    label, weight = exec_properties["label"], exec_properties.get("weight")
    examples, model_run = input_dict["examples"], get_single_instance(output_dict["model_run"]).uri
    checkpoint_folder = _checkpoint_folder(model_run, input_dict, exec_properties)
    spec = dataset.with_image_sizes(dataset.model_spec(schema, transform), examples)
    cache = cache_of(settings, strategy, checkpoint_folder)
    caches = {"train": cache, "eval": cache and cache.in_order()}
    splits = [dataset.read_split(examples, split, spec, label, weight, where) for split, where in caches.items()]
    for split in splits:
        split.check_finite()
    train_split, validation = splits
    training = Training(
        user_code.load(exec_properties["module_file"]),
        dataset.input_specs(spec, label, weight),
        exec_properties["task"],
        settings,
        train_split,
        validation,
        _warm_start(settings, input_dict),
    )
    with ops.running(which):
        trained, record = train(training, strategy, checkpoint_folder, model_run)
    if cluster is not None and not cluster.is_chief:
        return
    record.save(model_run)
    export(
        trained,
        path_utils.serving_model_dir(get_single_instance(output_dict["model"]).uri),
        inputs=training.inputs,
        spec=spec,
        raw_spec={n: feature for n, feature in dataset.raw_spec(schema).items() if n not in (label, weight)},
        transform=transform,
    )


def _warm_start(settings: TrainerSettings, input_dict: dict[str, list[Artifact]]) -> Path | None:
    """Where the weights lie that the training begins with."""
    if input_dict.get(BASE_MODEL):
        return Path(path_utils.serving_model_path(get_single_instance(input_dict[BASE_MODEL]).uri))
    if settings.warm_start == LATEST_BLESSED:
        log.info("There is no blessed model yet to begin with: the training starts from scratch.")
    return weights_file.find(settings.warm_start_path) if settings.warm_start_path else None


def _checkpoint_folder(model_run: str, input_dict: dict[str, list[Artifact]], exec_properties: dict[str, Any]) -> Path:
    """Beside the node's outputs, named by inputs and properties, the fingerprint of the source among them.

    TFX removes the outputs of an execution that fails and gives a retry another working folder; here a retry, and a
    run that is continued, find what they are and nothing else.
    """
    inputs = {key: [artifact.uri for artifact in artifacts] for key, artifacts in input_dict.items()}
    identity = hashlib.sha256(json.dumps([inputs, exec_properties], sort_keys=True).encode()).hexdigest()
    return _node_folder(model_run) / ".checkpoints" / identity[:32]


def _node_folder(model_run: str) -> Path:
    return Path(model_run).parents[1]
