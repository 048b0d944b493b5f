"""Which run it will be, decided before the slow imports: none, a new one, or a killed one continued."""

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import MetadataStore

from lineage.outcome import State
from lineage.recording import LOCAL
from lineage.recovery import interrupted_run
from lineage.runs import Run, complete_runs, latest_run
from lineage.store import RUN, TEMPLATE, claim_run_folder, create_store, run_folder
from lineage.summary import pushed_folder
from pipeline.config import Config
from pipeline.fingerprint import run_fingerprint
from pipeline.nodes import NODE_IDS, PUSHER
from runners.partial import Partial, inputs_of


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run that is about to begin.

    Attributes:
      config: The pipeline.
      root: The folder for artifacts, metadata and served models.
      run_id: Its id, new or that of the killed run that is continued.
      inputs: All that its result depends on.
      continued: Whether it is a killed run.
      anew: Ids of nodes that are run even where the cache has what they would make.
      partial: Where only some nodes are run: which.
      runner: Who launches the nodes.
      made: Id of a run of the same inputs that has made everything, so that only the Pusher is run, which needs neither
        TensorFlow nor Beam; "" where there is none.
    """

    config: Config
    root: Path
    run_id: str
    inputs: Mapping[str, Any]
    continued: bool
    anew: frozenset[str]
    partial: Partial | None
    runner: str
    made: str = ""

    @property
    def fingerprint(self) -> str:
        """Of the inputs."""
        return run_fingerprint(self.inputs)

    @property
    def folder(self) -> Path:
        """The folder of the run's log, report and compiled pipeline."""
        return run_folder(self.root, self.run_id)


def up_to_date(config: Config, root: Path, inputs: Mapping[str, Any]) -> Run | None:
    """The pipeline's latest run, where it is complete, its outputs are there, and its inputs were the same."""
    store = create_store(root, config.metadata)
    run = latest_run(store, root, config.name)
    if run is None or run.state is not State.COMPLETE or run.fingerprint != run_fingerprint(inputs):
        return None
    return None if _lost(run) else run


def plan(
    config: Config, root: Path, inputs: Mapping[str, Any], *, force: bool = False, partial: Partial | None = None
) -> Plan:
    """Continues the pipeline's last run if it was killed and nothing has changed since; else names a new run.

    Args:
      config: The pipeline.
      root: The folder for artifacts, metadata and served models.
      inputs: All that the result of all nodes depends on, from `run_inputs`.
      force: Whether nothing is taken from the cache; otherwise that is only what has vanished from the folder.
      partial: Which nodes are run; None for all. These are never taken from the cache.
    """
    store = create_store(root, config.metadata)
    inputs = inputs_of(inputs, partial)
    killed = interrupted_run(store, root, config.name, run_fingerprint(inputs))
    run_id = killed.id if killed else _new_id(store, root, config.name)
    latest = latest_run(store, root, config.name)
    anew = frozenset(NODE_IDS) if force or partial else _lost(latest) if latest else frozenset[str]()
    made = None if force or partial or killed else _made(store, root, config, inputs)
    return Plan(
        config,
        root,
        run_id,
        inputs,
        continued=killed is not None,
        anew=anew,
        partial=Partial(made.id, PUSHER, None) if made else partial,
        runner=config.runner,
        made=made.id if made else "",
    )


def _made(store: MetadataStore, root: Path, config: Config, inputs: Mapping[str, Any]) -> Run | None:
    """The newest complete run of the same inputs whose outputs are all there, perhaps but for the served version."""
    if config.runner != LOCAL:
        return None
    runs = complete_runs(store, root, config.name, run_fingerprint(inputs))
    return next((run for run in runs if _lost(run) <= {PUSHER} and (run.folder / TEMPLATE).exists()), None)


def _lost(run: Run) -> frozenset[str]:
    """The nodes of which an output is no longer there, the served version included."""
    pushed = pushed_folder(run)
    lost = {node.id for node in run.nodes if not all(Path(artifact.uri).exists() for artifact in node.artifacts)}
    return frozenset(lost | ({PUSHER} if pushed and not Path(pushed).exists() else set()))


def _new_id(store: MetadataStore, root: Path, pipeline: str) -> str:
    """Such as `digits-20260131-140501`, with a number behind it where that is taken; no other process gets it."""
    base = f"{pipeline}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    number, run_id = 1, base
    while store.get_context_by_type_and_name(RUN, run_id) is not None or not claim_run_folder(root, run_id):
        number += 1
        run_id = f"{base}-{number}"
    return run_id
