"""Reads runs back from ML Metadata: which there are, what became of each, and which nodes it has."""

import dataclasses
import datetime
import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.lock import is_held
from lineage.nodes import ArtifactRef, Node, NodeReader
from lineage.outcome import InputError, State
from lineage.recording import IN_ONE_PROCESS, LOCAL, Key
from lineage.store import NODE, RUN, run_folder

__all__ = [
    "ArtifactRef",
    "Node",
    "Run",
    "complete_runs",
    "executions_of",
    "find_run",
    "is_alive",
    "latest_run",
    "list_runs",
    "node_of",
    "read_run",
    "run_contexts",
]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run with its nodes in the order of the graph; times are UTC, `edges` are (upstream, downstream) ids.

    `inputs` is what the fingerprint is of, `place` the folder of pipeline.yaml, `base` the id of the run of which a
    rerun took the nodes before its first one, or "".
    """

    id: str
    pipeline: str
    state: State
    started: datetime.datetime
    finished: datetime.datetime | None
    reason: str
    fingerprint: str
    config: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    folder: Path
    inputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    place: Path = Path()
    base: str = ""
    runner: str = LOCAL

    @property
    def seconds(self) -> float | None:
        """From the start to the end; None for a run that has not ended."""
        return (self.finished - self.started).total_seconds() if self.finished else None

    def artifacts(self, type_name: str) -> list[ArtifactRef]:
        """All artifacts of an MLMD type that the run made or took from the cache."""
        return [artifact for node in self.nodes for artifact in node.artifacts if artifact.type == type_name]


def list_runs(store: MetadataStore, root: Path) -> list[Run]:
    """All runs that were recorded in the store, newest first."""
    node_ids = _all_node_ids(store)
    return [read_run(store, root, context, node_ids) for context in run_contexts(store)]


def find_run(store: MetadataStore, root: Path, run_id: str | None) -> Run:
    """The run of that id; the latest run for None.

    Raises:
      InputError: there is no such run.
    """
    contexts = run_contexts(store)
    if not contexts:
        raise InputError(f"No run is recorded under {root} yet. Start with `slipway run`.")
    for context in contexts:
        if run_id in (None, context.name):
            return read_run(store, root, context)
    ids = [context.name for context in contexts]
    nearest = difflib.get_close_matches(str(run_id), ids, n=3, cutoff=0.4) or ids[:3]
    raise InputError(f"There is no run {run_id} under {root}. The nearest: {', '.join(nearest)}. See `slipway runs`.")


def latest_run(store: MetadataStore, root: Path, pipeline: str, before: str | None = None) -> Run | None:
    """The newest run of a pipeline, or the newest before the run of that id; None where there is none."""
    contexts = run_contexts(store, pipeline)
    ids = [context.name for context in contexts]
    newest = next(iter(contexts[ids.index(before) + 1 if before in ids else 0 :]), None)
    return read_run(store, root, newest) if newest else None


def complete_runs(store: MetadataStore, root: Path, pipeline: str, fingerprint: str) -> Iterator[Run]:
    """The complete runs of a pipeline with that fingerprint, newest first."""
    for context in run_contexts(store, pipeline):
        stored = context.custom_properties
        if _text(stored, Key.STATE) == State.COMPLETE and _text(stored, Key.FINGERPRINT) == fingerprint:
            yield read_run(store, root, context)


def is_alive(run: Run) -> bool:
    """Whether the process that runs it still holds its lock."""
    return is_held(run.folder)


def executions_of(
    store: MetadataStore, run_id: str, node_ids: Mapping[int, str] | None = None
) -> list[tuple[str, mlmd.Execution]]:
    """The executions of a run with their node ids, oldest first; `node_ids`, by execution id, saves asking for each."""
    context = store.get_context_by_type_and_name(RUN, run_id)
    found = sorted(store.get_executions_by_context(context.id), key=lambda execution: execution.id)
    if node_ids is None:
        node_ids = {execution.id: node_of(store.get_contexts_by_execution(execution.id)) for execution in found}
    return [(node_ids.get(execution.id, ""), execution) for execution in found]


def run_contexts(store: MetadataStore, pipeline: str | None = None) -> list[mlmd.Context]:
    """The contexts of recorded runs, of a pipeline or of all, newest first.

    Those of other TFX programs in the same store are left out.
    """
    recorded = [context for context in store.get_contexts_by_type(RUN) if Key.STATE in context.custom_properties]
    if pipeline is not None:
        recorded = [one for one in recorded if one.custom_properties[Key.PIPELINE].string_value == pipeline]
    return sorted(recorded, key=lambda context: context.id, reverse=True)


def read_run(store: MetadataStore, root: Path, context: mlmd.Context, node_ids: Mapping[int, str] | None = None) -> Run:
    """The run of a `pipeline_run` context."""
    stored = context.custom_properties
    folder = run_folder(root, context.name)
    state = State(stored[Key.STATE].string_value)
    runner = _text(stored, Key.RUNNER) or LOCAL
    if state is State.RUNNING and runner in IN_ONE_PROCESS and not is_held(folder):
        state = State.INTERRUPTED
    graph = json.loads(stored[Key.GRAPH].string_value)
    # The latest execution of a node wins: continuing a run registers its system nodes a second time.
    reader = NodeReader(store, context, state, dict(executions_of(store, context.name, node_ids)))
    nodes = tuple(reader.read(node_id) for node_id in graph["nodes"])
    return Run(
        id=context.name,
        pipeline=stored[Key.PIPELINE].string_value,
        state=state,
        started=_time(stored[Key.STARTED].double_value),
        finished=_time(stored[Key.FINISHED].double_value) if Key.FINISHED in stored else None,
        reason=stored[Key.REASON].string_value or _interruption(state, nodes),
        fingerprint=stored[Key.FINGERPRINT].string_value,
        config=stored[Key.CONFIG].string_value,
        inputs=json.loads(_text(stored, Key.INPUTS) or "{}"),
        place=Path(_text(stored, Key.PLACE)),
        base=_text(stored, Key.BASE),
        runner=runner,
        nodes=nodes,
        edges=tuple((upstream, downstream) for upstream, downstream in graph["edges"]),
        folder=folder,
    )


def _text(stored: Mapping[str, mlmd.Value], key: Key) -> str:
    """Empty where it is absent; asking a proto map for an absent key would add it."""
    return str(stored[key].string_value) if key in stored else ""


def _all_node_ids(store: MetadataStore) -> dict[int, str]:
    """Node id of every execution in the store: one query a node, which is fewer than one an execution."""
    return {
        execution.id: _name_of(context)
        for context in store.get_contexts_by_type(NODE)
        for execution in store.get_executions_by_context(context.id)
    }


def node_of(contexts: Iterable[mlmd.Context]) -> str:
    """The node id that is among the contexts of an execution; "" where there is none."""
    return next((_name_of(context) for context in contexts if context.type == NODE), "")


def _name_of(context: mlmd.Context) -> str:
    """TFX names the context of a node `<pipeline>.<node id>`, and a node id holds no dot."""
    return str(context.name).rpartition(".")[2]


def _interruption(state: State, nodes: Iterable[Node]) -> str:
    if state is not State.INTERRUPTED:
        return ""
    stopped = [node.id for node in nodes if node.state is State.INTERRUPTED]
    where = f"in {', '.join(stopped)}" if stopped else "between two nodes"
    return f"The process that ran it ended {where} without finishing. Run the same again to continue."


def _time(milliseconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
