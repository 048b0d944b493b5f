"""The three verbs on a compiled pipeline, begin, node and end: every runner drives these, so that cache, retry and
recovery are written once. Each may be called again after a crash.
"""

import dataclasses
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import MetadataStore
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import partial_run_utils
from tfx.orchestration.portable.launcher import Launcher
from tfx.proto.orchestration import pipeline_pb2

import components.artifacts  # noqa: F401 - or TFX would not know these types in the store
from lineage import recording, recovery
from lineage.connection import connection
from lineage.outcome import DONE, GateRefused, InputError, State
from lineage.recording import NewRun
from lineage.runs import Node, Run, find_run
from lineage.store import COMPILED, TEMPLATE, create_store, run_folder
from pipeline.ir import edges, for_run, node_ids, node_of
from runners.gates import reasons_of_refusal
from runners.partial import Partial
from runners.plan import Plan


@dataclasses.dataclass(frozen=True)
class Begun:
    """A run that has begun: its compiled pipeline and where it is recorded."""

    root: Path
    run_id: str
    ir: pipeline_pb2.Pipeline
    store: MetadataStore

    @property
    def node_ids(self) -> list[str]:
        """Ids of the nodes that are run, in an order in which they can."""
        return [
            node_id for node_id in node_ids(self.ir) if not node_of(self.ir, node_id).execution_options.HasField("skip")
        ]

    def read(self) -> Run:
        """The run as it is recorded now."""
        return find_run(self.store, self.root, self.run_id)


def begin(plan: Plan, compiled: pipeline_pb2.Pipeline) -> Begun:
    """Records the run, and gives up killed runs that will not be continued.

    The caller holds the run's RunLock.

    Raises:
      InputError: the nodes that are not run cannot be taken from the base run.
    """
    store = create_store(plan.root, plan.config.metadata)
    for stale in recovery.stale_runs(store, plan.root, plan.config.name):
        if stale.id != plan.run_id:
            recovery.abandon(store, plan.root, stale)
    ir = for_run(compiled, plan.run_id)
    new = NewRun(
        pipeline=plan.config.name,
        fingerprint=plan.fingerprint,
        config=plan.config.to_yaml(),
        nodes=node_ids(ir),
        edges=edges(ir),
        inputs=plan.inputs,
        place=str(plan.config.folder),
        base=plan.partial.base if plan.partial else "",
        runner=plan.runner,
    )
    recording.begin_run(store, plan.root, plan.run_id, new)
    if plan.partial:
        _mark(ir, plan.partial)
    for node_id in plan.anew & set(node_ids(ir)):
        node_of(ir, node_id).execution_options.caching_options.enable_cache = False
    if plan.partial:
        _take_from_base(plan.root, ir, plan.partial)
    (plan.folder / TEMPLATE).write_bytes(compiled.SerializeToString(deterministic=True))
    (plan.folder / COMPILED).write_bytes(ir.SerializeToString(deterministic=True))
    return Begun(plan.root, plan.run_id, ir, store)


def template(root: Path, run_id: str) -> pipeline_pb2.Pipeline:
    """What a run was begun with: the compiled pipeline, for another run of the same inputs."""
    return pipeline_pb2.Pipeline.FromString((run_folder(root, run_id) / TEMPLATE).read_bytes())


def load(root: Path, run_id: str) -> Begun:
    """A run that has begun, perhaps in another process."""
    ir = pipeline_pb2.Pipeline.FromString((run_folder(root, run_id) / COMPILED).read_bytes())
    return Begun(root, run_id, ir, create_store(root))


def node(begun: Begun, node_id: str) -> Node:
    """Runs one node, unless an execution of this run has done so already.

    Raises:
      GateRefused: the node, or the blessing it gave, refuses what was made; what it gave is recorded.
      Exception: what its executor raised.
    """
    found = recorded(begun, node_id)
    if found.state not in DONE:
        _launch(begun, node_id)
        found = recorded(begun, node_id)
    if found.state is State.REFUSED:
        raise GateRefused("\n".join([f"{node_id} refused:", *reasons_of_refusal(found)]))
    if found.state not in DONE:
        # The launcher only logs an input that it cannot resolve.
        raise RuntimeError(f"{node_id} could not be started: an input is missing")
    return found


def end(begun: Begun, state: State, reason: str = "") -> None:
    """Records how the run ended; of an INTERRUPTED one only why, for it can be continued."""
    if state is State.INTERRUPTED:
        recording.note(begun.store, begun.run_id, reason)
    else:
        recording.finish_run(begun.store, begun.run_id, state, reason)


def recorded(begun: Begun, node_id: str) -> Node:
    """What is recorded of a node now."""
    return next(found for found in begun.read().nodes if found.id == node_id)


def _mark(ir: pipeline_pb2.Pipeline, partial: Partial) -> None:
    """Says of each node whether it is run or taken from the base run."""
    last = [partial.last] if partial.last else None
    settings = pipeline_pb2.SnapshotSettings()
    partial_run_utils.set_base_pipeline_run_strategy(settings, partial.base)
    try:
        partial_run_utils.mark_pipeline(ir, from_nodes=[partial.first], to_nodes=last, snapshot_settings=settings)
    except ValueError as error:
        raise InputError(f"The pipeline has other nodes now than run {partial.base} had: {error}") from error


def _take_from_base(root: Path, ir: pipeline_pb2.Pipeline, partial: Partial) -> None:
    """Records the outputs of the nodes that are not run as if this run had found them in the cache."""
    try:
        with _handle(root) as handle:
            partial_run_utils.snapshot(handle, ir)
    except LookupError as error:
        raise InputError(f"Run {partial.base} lacks what this one needs: {error}") from error


def _handle(root: Path) -> Any:
    """TFX's on the store. The compiled pipeline knows none: files are copied, and a server's has a password."""
    return metadata.Metadata(connection(root))


def _launch(begun: Begun, node_id: str) -> None:
    deployment = runner_utils.extract_local_deployment_config(begun.ir)
    Launcher(
        pipeline_node=node_of(begun.ir, node_id),
        mlmd_connection=_handle(begun.root),
        pipeline_info=begun.ir.pipeline_info,
        pipeline_runtime_spec=begun.ir.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
    ).launch()
