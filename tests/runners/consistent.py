"""Walks a store and the folder of its artifacts, and says what does not fit; and what runs that were killed come to."""

from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.runs import list_runs
from lineage.store import open_store, pipeline_root
from tests.runners.small import NODES, Small

_UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)

_MADE = "madeStatisticsGenmadeTransform"  # by the small pipeline's Trainer


def check_undisturbed(small: Small) -> None:
    """All runs have ended as if nothing had been killed: with each node run once, and the same results."""
    assert faults(small.root, "small") == []
    runs = list_runs(open_store(small.root), small.root)
    assert {run.state for run in runs} == {"COMPLETE"}
    assert {node.state for run in runs for node in run.nodes} == {"COMPLETE"}
    states = [execution.last_known_state for node_id in NODES for execution in small.executions(node_id)]
    assert states == [mlmd.Execution.COMPLETE] * len(NODES) * len(runs)
    assert small.outputs() == [_MADE] * len(runs)


def faults(root: Path, pipeline: str) -> list[str]:
    """Sentences; none where all runs and executions have ended, and every output has its files and its entry."""
    store = open_store(root)
    runs = list_runs(store, root)
    found = [f"run {run.id} is {run.state}" for run in runs if run.state in ("RUNNING", "INTERRUPTED")]
    executions = {execution.id: execution for execution in store.get_executions()}
    found += [f"execution {one.id} has not ended" for one in executions.values() if one.last_known_state in _UNFINISHED]
    for run in runs:
        context = store.get_context_by_type_and_name("pipeline_run", run.id)
        in_run = [e for e in store.get_executions_by_context(context.id) if e.last_known_state != mlmd.Execution.FAILED]
        if run.state == "COMPLETE" and len(in_run) != len(run.nodes):
            found.append(f"run {run.id} of {len(run.nodes)} nodes has {len(in_run)} executions")
    known = {artifact.uri for artifact in store.get_artifacts() if artifact.state == mlmd.Artifact.LIVE}
    found += [f"{uri} is not there" for uri in known if not Path(uri).exists()]
    folders = {str(path) for path in pipeline_root(root, pipeline).glob("*/*/*") if path.parent.name[0] != "."}
    found += [f"{folder} is nobody's" for folder in sorted(folders - known)]
    left = [path for path in pipeline_root(root, pipeline).glob("*/.system/*/*") if any(path.rglob("*"))]
    return found + [f"{path} is left" for path in left]
