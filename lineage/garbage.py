"""Old outputs, and their removal: what no kept run has, and no pushed or blessed model is made of."""

import contextlib
import dataclasses
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.lock import no_runs
from lineage.nodes import MADE, blessing
from lineage.outcome import State
from lineage.runs import Run, list_runs
from lineage.store import RUN

_GOING_ON = (State.RUNNING, State.INTERRUPTED)


@dataclasses.dataclass(frozen=True)
class Garbage:
    """Artifacts of old runs that may go, and how many bytes their folders hold."""

    runs: list[Run]
    artifacts: list[mlmd.Artifact]
    bytes: int


@contextlib.contextmanager
def garbage(store: MetadataStore, root: Path, keep: int) -> Iterator[Garbage]:
    """Finds what may go; nothing runs under the root folder until the end of `with`.

    Args:
      store: The store of the root folder.
      root: The root folder.
      keep: Runs of each pipeline that keep all they have, the newest ones. A run that can go on is always kept.

    Raises:
      InputError: something runs.
    """
    with no_runs(root):
        runs = list_runs(store, root)
        old = _old(runs, keep)
        kept = _of_runs(store, [run for run in runs if run not in old]) | _served(store)
        candidates = store.get_artifacts_by_id(sorted(_of_runs(store, old) - kept)) if old else []
        found = [
            artifact
            for artifact in candidates
            if Path(artifact.uri).is_relative_to(root) and Path(artifact.uri).exists()
        ]
        yield Garbage(old, found, sum(_size(Path(artifact.uri)) for artifact in found))


def remove(store: MetadataStore, found: Garbage) -> None:
    """Removes the folders; the artifacts stay in the store, as deleted ones."""
    for artifact in found.artifacts:
        shutil.rmtree(artifact.uri)
        artifact.state = mlmd.Artifact.DELETED
        store.put_artifacts([artifact])


def _old(runs: list[Run], keep: int) -> list[Run]:
    """Newest first, as they came."""
    seen: dict[str, int] = {}
    old = []
    for run in runs:
        seen[run.pipeline] = seen.get(run.pipeline, 0) + 1
        if seen[run.pipeline] > keep and run.state not in _GOING_ON:
            old.append(run)
    return old


def _of_runs(store: MetadataStore, runs: Iterable[Run]) -> set[int]:
    """Ids of all artifacts that executions of these runs have read or made."""
    executions: list[int] = []
    for run in runs:
        context = store.get_context_by_type_and_name(RUN, run.id)
        executions += [execution.id for execution in store.get_executions_by_context(context.id)]
    return {event.artifact_id for event in store.get_events_by_execution_ids(executions)} if executions else set()


def _served(store: MetadataStore) -> set[int]:
    """Ids of pushed models, of given blessings, and of what these were given for."""
    blessings = store.get_artifacts_by_type("ModelBlessing")
    given = [*store.get_artifacts_by_type("PushedModel"), *(one for one in blessings if blessing(one))]
    if not given:
        return set()
    events = store.get_events_by_artifact_ids([artifact.id for artifact in given])
    makers = [event.execution_id for event in events if event.type in MADE]
    read = {e.artifact_id for e in store.get_events_by_execution_ids(makers)} if makers else set[int]()
    models = {artifact.id for kind in ("Model", "TFLiteModel") for artifact in store.get_artifacts_by_type(kind)}
    return {artifact.id for artifact in given} | (read & models)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
