"""Walks a store and the folder of its artifacts, and says what does not fit."""

from pathlib import Path

from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.runs import list_runs
from lineage.store import open_store, pipeline_root

_UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)


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
