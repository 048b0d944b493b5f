"""A process of a multi-worker training on another host than the chief's, where the pipeline runs."""

import json
import logging
import time
from pathlib import Path

from components import user_code
from components.trainer import announcement
from components.trainer.announcement import Announcement
from components.trainer.cluster import Cluster, from_environment
from components.trainer.executor import fit
from components.trainer.processes import train_in_processes
from components.trainer.worker_error import LostWorkerError
from lineage.outcome import InputError
from lineage.store import pipeline_root
from pipeline.config import Config
from pipeline.fingerprint import code_fingerprint

log = logging.getLogger("slipway.worker")

_SECONDS = 1.0  # between two looks for a training


def own_cluster(config: Config) -> Cluster:
    """This process's place, from TF_CONFIG.

    Raises:
      InputError: it has none, or is the chief, or the pipeline does not train that way.
    """
    if config.trainer.strategy != "multi_worker" or config.trainer.workers is not None:
        raise InputError(
            "`slipway worker` is for trainer.strategy multi_worker over several hosts (without trainer.workers); the "
            f"strategy is {config.trainer.strategy}, workers is {config.trainer.workers}."
        )
    cluster = from_environment()
    if cluster is None:
        raise InputError("TF_CONFIG is not set; `slipway worker` needs it to know its place in the cluster.")
    if cluster.is_chief:
        raise InputError("TF_CONFIG makes this process the chief; start `slipway run PIPELINE` here.")
    return cluster


def work(config: Config, root: Path, cluster: Cluster) -> None:
    """Waits for the chief's training, trains with it to its end; begins again as often as the chief does.

    Args:
      config: The pipeline, the same as the chief's.
      root: The folder of the chief's run, on storage that both see.
      cluster: What `own_cluster` gave.

    Raises:
      InputError: the chief trains with another cluster or another source.
      LostWorkerError: the chief's training has ended, and this process was not part of it to the end.
    """
    folder = pipeline_root(root, config.name) / "Trainer"
    log.info("Waiting for the chief, %s, to announce a training in %s.", cluster.addresses[0], folder)
    while (found := announcement.find(folder)) is None:
        time.sleep(_SECONDS)
    while found is not None:
        _check(config, cluster, found)
        log.info("Training with %s.", ", ".join(cluster.addresses))
        try:
            train_in_processes([cluster], fit, found.work, restarts=0)
        except LostWorkerError as lost:
            log.warning("%s", lost)
            found = announcement.find(folder)
        else:
            log.info("Done.")
            return
    raise LostWorkerError("The chief's training has ended without this process.")


def _check(config: Config, cluster: Cluster, found: Announcement) -> None:
    if found.addresses != cluster.addresses:
        raise InputError(
            f"TF_CONFIG names the processes {', '.join(cluster.addresses)}, and the chief's names "
            f"{', '.join(found.addresses)}; expected the same."
        )
    properties = json.loads(found.work)[2]
    if properties["module_fingerprint"] != code_fingerprint(config, *user_code.HOOKS):
        raise InputError(f"{config.resolve(config.model)} is not what the chief trains with; expected the same source.")
