"""Where an artifact is from: the execution that made it, what that read, and so on, to the data."""

import dataclasses
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.nodes import MADE
from lineage.outcome import InputError
from lineage.runs import node_of
from lineage.store import RUN


@dataclasses.dataclass(frozen=True)
class Ancestor:
    """An artifact, the node and the run that made it ("" where none is recorded), and what that node read."""

    id: int
    type: str
    uri: str
    node: str
    run: str
    inputs: tuple["Ancestor", ...]


def ancestry(store: MetadataStore, what: str) -> Ancestor:
    """The artifact with all that it is made of.

    Args:
      store: The store.
      what: An artifact's id, its folder or a path in it, or the folder of a served version.

    Raises:
      InputError: there is no such artifact.
    """
    return _Walk(store).ancestor(_find(store, what))


class _Walk:
    def __init__(self, store: MetadataStore):
        self._store = store

    def ancestor(self, artifact: mlmd.Artifact) -> Ancestor:
        events = self._store.get_events_by_artifact_ids([artifact.id])
        made = [event.execution_id for event in events if event.type in MADE]
        if not made:
            return Ancestor(artifact.id, artifact.type, artifact.uri, "", "", ())
        # The first execution made it, others found it in the cache.
        execution = min(made)
        inputs = tuple(self.ancestor(found) for found in self._inputs(execution))
        node, run = self._where(execution)
        return Ancestor(artifact.id, artifact.type, artifact.uri, node, run, inputs)

    def _inputs(self, execution: int) -> list[mlmd.Artifact]:
        events = self._store.get_events_by_execution_ids([execution])
        ids = sorted({e.artifact_id for e in events if e.type in (mlmd.Event.INPUT, mlmd.Event.DECLARED_INPUT)})
        return list(self._store.get_artifacts_by_id(ids)) if ids else []

    def _where(self, execution: int) -> tuple[str, str]:
        contexts = self._store.get_contexts_by_execution(execution)
        return node_of(contexts), next((str(context.name) for context in contexts if context.type == RUN), "")


def _find(store: MetadataStore, what: str) -> mlmd.Artifact:
    if what.isdigit():
        found = store.get_artifacts_by_id([int(what)])
    else:
        path = Path(what).absolute()
        found = [artifact for artifact in store.get_artifacts() if _holds(artifact, path)]
    if not found:
        raise InputError(
            f"No artifact {what} is recorded. Expected an artifact's id, a path in its folder, or that of a served "
            "version; `slipway show RUN --json` lists the artifacts of a run."
        )
    return max(found, key=lambda artifact: (len(artifact.uri), artifact.id))


def _holds(artifact: mlmd.Artifact, path: Path) -> bool:
    folders = [artifact.uri]
    if "pushed_destination" in artifact.custom_properties:
        folders.append(artifact.custom_properties["pushed_destination"].string_value)
    return any(folder and path.is_relative_to(folder) for folder in folders)
