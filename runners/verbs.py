"""The three verbs on a compiled pipeline, begin, node and end: every runner drives these, so that cache, retry and
recovery are written once. Each may be called again after a crash.
"""

import dataclasses
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable.launcher import Launcher
from tfx.proto.orchestration import pipeline_pb2

from lineage import recording, recovery
from lineage.outcome import GateRefused, State
from lineage.runs import Node, Run, find_run
from lineage.store import create_store
from pipeline.compile import compile_pipeline, edges, for_run, node_ids
from runners.gates import reasons_of_refusal
from runners.plan import Plan

_DONE = (State.COMPLETE, State.CACHED)


@dataclasses.dataclass(frozen=True)
class Begun:
    """A run that has begun: its compiled pipeline and where it is recorded."""

    root: Path
    run_id: str
    ir: pipeline_pb2.Pipeline
    store: MetadataStore

    @property
    def node_ids(self) -> list[str]:
        """Ids of the nodes, in an order in which they can run."""
        return node_ids(self.ir)

    def read(self) -> Run:
        """The run as it is recorded now."""
        return find_run(self.store, self.root, self.run_id)


def begin(plan: Plan) -> Begun:
    """Compiles the pipeline, records the run, and gives up killed runs that will not be continued.

    The caller holds the run's RunLock.
    """
    store = create_store(plan.root)
    for stale in recovery.stale_runs(store, plan.root, plan.config.name):
        if stale.id != plan.run_id:
            recovery.abandon(store, plan.root, stale)
    ir = for_run(compile_pipeline(plan.config, plan.root), plan.run_id)
    recording.begin_run(
        store,
        plan.root,
        plan.run_id,
        pipeline=plan.config.name,
        fingerprint=plan.fingerprint,
        config=plan.config.to_yaml(),
        nodes=node_ids(ir),
        edges=edges(ir),
    )
    (plan.folder / "pipeline.pb").write_bytes(ir.SerializeToString(deterministic=True))
    return Begun(plan.root, plan.run_id, ir, store)


def node(begun: Begun, node_id: str) -> Node:
    """Runs one node, unless an execution of this run has done so already.

    Raises:
      GateRefused: the node, or the blessing it gave, refuses what was made; what it gave is recorded.
      Exception: what its executor raised.
    """
    if (done := done_before(begun, node_id)) is None:
        _launch(begun, node_id)
        done = recorded(begun, node_id)
    if done.state is State.REFUSED:
        raise GateRefused("\n".join([f"{node_id} refused:", *reasons_of_refusal(done)]))
    if done.state not in _DONE:
        # The launcher only logs an input that it cannot resolve.
        raise RuntimeError(f"{node_id} could not be started: an input is missing")
    return done


def done_before(begun: Begun, node_id: str) -> Node | None:
    """The node, if an execution of this run has ended well: a run that is continued does not run it again."""
    node = recorded(begun, node_id)
    return node if node.state in _DONE else None


def end(begun: Begun, state: State, reason: str = "") -> Run:
    """Records how the run ended."""
    recording.finish_run(begun.store, begun.run_id, state, reason)
    return begun.read()


def recorded(begun: Begun, node_id: str) -> Node:
    """What is recorded of a node now."""
    return next(found for found in begun.read().nodes if found.id == node_id)


def _launch(begun: Begun, node_id: str) -> None:
    deployment = runner_utils.extract_local_deployment_config(begun.ir)
    connection = deployment.metadata_connection_config
    [pipeline_node] = [n.pipeline_node for n in begun.ir.nodes if n.pipeline_node.node_info.id == node_id]
    Launcher(
        pipeline_node=pipeline_node,
        mlmd_connection=metadata.Metadata(getattr(connection, connection.WhichOneof("connection_config"))),
        pipeline_info=begun.ir.pipeline_info,
        pipeline_runtime_spec=begun.ir.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
    ).launch()
