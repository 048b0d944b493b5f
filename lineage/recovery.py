"""What to do about a run that was killed: continue it where nothing has changed, else give it up and clean up."""

import shutil
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.lock import RunLock
from lineage.nodes import GIVEN_UP, UNFINISHED
from lineage.outcome import State
from lineage.recording import Key, finish_run
from lineage.runs import Run, executions_of, is_alive, latest_run, read_run, run_contexts
from lineage.store import NODE, RUN, SCRATCH, pipeline_root


def interrupted_run(store: MetadataStore, root: Path, pipeline: str, fingerprint: str) -> Run | None:
    """The newest run of the pipeline, if it was interrupted and would do the same work again; None otherwise."""
    run = latest_run(store, root, pipeline)
    return run if run and run.state is State.INTERRUPTED and run.fingerprint == fingerprint else None


def stale_runs(store: MetadataStore, root: Path, pipeline: str) -> list[Run]:
    """All interrupted runs of the pipeline, newest first; `abandon` those that are not continued."""
    unfinished = (context for context in run_contexts(store, pipeline) if _is_unfinished(context))
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
            node_folder = pipeline_root(root, run.pipeline) / node_id
            _remove_outputs(node_folder, execution.id)
            if _is_alone(store, f"{run.pipeline}.{node_id}", execution.id):
                _remove_working_folders(node_folder)
            execution.last_known_state = mlmd.Execution.FAILED
            execution.custom_properties[GIVEN_UP].int_value = 1
        shutil.rmtree(run.folder / SCRATCH, ignore_errors=True)
        store.put_executions([execution for _, execution in unfinished])
        finish_run(store, run.id, State.FAILED, "interrupted")


def _is_unfinished(context: mlmd.Context) -> bool:
    return bool(context.custom_properties[Key.STATE].string_value == State.RUNNING)


def _remove_outputs(node_folder: Path, execution_id: int) -> None:
    """Removes <node>/<output key>/<execution id> and <node>/.system/<purpose>/<execution id>."""
    for folder in [*node_folder.glob(f"*/{execution_id}"), *node_folder.glob(f".system/*/{execution_id}")]:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_working_folders(node_folder: Path) -> None:
    """Removes what lies in <node>/.system/stateful_working_dir.

    TFX names these folders at random and records the names nowhere: no later execution finds its own again.
    """
    for folder in node_folder.glob(".system/stateful_working_dir/*"):
        shutil.rmtree(folder, ignore_errors=True)


def _is_alone(store: MetadataStore, node: str, execution_id: int) -> bool:
    """Whether no other execution of the node is unfinished, in any run, so that nothing there is in use."""
    context = store.get_context_by_type_and_name(NODE, node)
    executions = store.get_executions_by_context(context.id)
    return {found.id for found in executions if found.last_known_state in UNFINISHED} == {execution_id}
