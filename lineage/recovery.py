"""What to do about a run that was killed: continue it where nothing has changed, else give it up and clean up."""

import shutil
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.lock import RunLock
from lineage.outcome import State
from lineage.recording import Key, finish_run
from lineage.runs import GIVEN_UP, UNFINISHED, Run, executions_of, is_alive, read_run, run_contexts
from lineage.store import RUN, pipeline_root

# Under this custom property TFX keeps the name of an execution's folder below .system/stateful_working_dir.
_WORKING_FOLDER = "__stateful_working_dir_index__"


def interrupted_run(store: MetadataStore, root: Path, pipeline: str, fingerprint: str) -> Run | None:
    """The newest run of the pipeline, if it was interrupted and would do the same work again; None otherwise."""
    newest = next((context for context in run_contexts(store) if _is_of(context, pipeline)), None)
    if newest is None:
        return None
    run = read_run(store, root, newest)
    return run if run.state is State.INTERRUPTED and run.fingerprint == fingerprint else None


def stale_runs(store: MetadataStore, root: Path, pipeline: str) -> list[Run]:
    """All interrupted runs of the pipeline, newest first; `abandon` those that are not continued."""
    unfinished = (context for context in run_contexts(store) if _is_of(context, pipeline) and _is_unfinished(context))
    runs = [read_run(store, root, context) for context in unfinished]
    return [run for run in runs if run.state is State.INTERRUPTED]


def abandon(store: MetadataStore, root: Path, run: Run) -> None:
    """Gives up an interrupted run: its unfinished executions fail and their half-written outputs are removed.

    What its finished executions have made stays, for the cache. A run that has ended, or that a process is running
    (perhaps since `run` was read), is left alone.
    """
    if is_alive(run):
        return
    with RunLock(root, run.id):
        # Only now that the lock is ours can nobody else continue or abandon it.
        if not _is_unfinished(store.get_context_by_type_and_name(RUN, run.id)):
            return
        unfinished = [pair for pair in executions_of(store, run.id) if pair[1].last_known_state in UNFINISHED]
        for node_id, execution in unfinished:
            _remove_outputs(pipeline_root(root, run.pipeline) / node_id, execution)
            execution.last_known_state = mlmd.Execution.FAILED
            execution.custom_properties[GIVEN_UP].int_value = 1
        store.put_executions([execution for _, execution in unfinished])
        finish_run(store, run.id, State.FAILED, "interrupted")


def _is_of(context: mlmd.Context, pipeline: str) -> bool:
    return bool(context.custom_properties[Key.PIPELINE].string_value == pipeline)


def _is_unfinished(context: mlmd.Context) -> bool:
    return bool(context.custom_properties[Key.STATE].string_value == State.RUNNING)


def _remove_outputs(node_folder: Path, execution: mlmd.Execution) -> None:
    """Removes <node>/<output key>/<execution id> and what TFX keeps of the execution below <node>/.system."""
    folders = [*node_folder.glob(f"*/{execution.id}"), *node_folder.glob(f".system/*/{execution.id}")]
    if working := execution.custom_properties[_WORKING_FOLDER].string_value:
        folders.append(node_folder / ".system" / "stateful_working_dir" / working)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
