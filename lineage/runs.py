"""Reads runs back from ML Metadata: which there are, how far each node came and what it made."""

import dataclasses
import datetime
import difflib
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.lock import is_held
from lineage.outcome import InputError, State
from lineage.recording import Key
from lineage.store import NODE, RUN, run_folder

OUTPUT_EVENTS = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT, mlmd.Event.INTERNAL_OUTPUT)
SYSTEM_NODES = (".Resolver", ".Importer")
UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)
GIVEN_UP = "given_up"  # custom property of an execution that recovery, not TFX, has ended

_STATES = {
    mlmd.Execution.NEW: State.RUNNING,
    mlmd.Execution.RUNNING: State.RUNNING,
    mlmd.Execution.COMPLETE: State.COMPLETE,
    mlmd.Execution.CACHED: State.CACHED,
    mlmd.Execution.FAILED: State.FAILED,
    mlmd.Execution.CANCELED: State.FAILED,
}


@dataclasses.dataclass(frozen=True)
class ArtifactRef:
    """An output of a node: MLMD type name, folder, output key, and its properties, custom ones included."""

    type: str
    uri: str
    key: str
    properties: Mapping[str, str | int | float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Node:
    """A node of a run. `seconds` is None where it has not run or where nobody knows when it stopped."""

    id: str
    state: State
    seconds: float | None
    artifacts: tuple[ArtifactRef, ...]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run with its nodes in the order of the graph; times are UTC, `edges` are (upstream, downstream) ids."""

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

    def artifacts(self, type_name: str) -> list[ArtifactRef]:
        """All artifacts of an MLMD type that the run made or took from the cache."""
        return [artifact for node in self.nodes for artifact in node.artifacts if artifact.type == type_name]


def list_runs(store: MetadataStore, root: Path) -> list[Run]:
    """All runs that were recorded in the store, newest first."""
    return [read_run(store, root, context) for context in run_contexts(store)]


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


def is_alive(run: Run) -> bool:
    """Whether the process that runs it still holds its lock."""
    return is_held(run.folder)


def executions_of(store: MetadataStore, run_id: str) -> list[tuple[str, mlmd.Execution]]:
    """The executions of a run with their node ids, oldest first."""
    context = store.get_context_by_type_and_name(RUN, run_id)
    found = sorted(store.get_executions_by_context(context.id), key=lambda execution: execution.id)
    return [(_node_id(store, execution), execution) for execution in found]


def run_contexts(store: MetadataStore) -> list[mlmd.Context]:
    """The contexts of recorded runs, newest first; those of other TFX programs in the same store are left out."""
    recorded = [context for context in store.get_contexts_by_type(RUN) if Key.STATE in context.custom_properties]
    return sorted(recorded, key=lambda context: context.id, reverse=True)


def read_run(store: MetadataStore, root: Path, context: mlmd.Context) -> Run:
    """The run of a `pipeline_run` context."""
    stored = context.custom_properties
    folder = run_folder(root, context.name)
    state = State(stored[Key.STATE].string_value)
    if state is State.RUNNING and not is_held(folder):
        state = State.INTERRUPTED
    graph = json.loads(stored[Key.GRAPH].string_value)
    nodes = tuple(_NodeReader(store, context, state).read(graph["nodes"]))
    return Run(
        id=context.name,
        pipeline=stored[Key.PIPELINE].string_value,
        state=state,
        started=_time(context.create_time_since_epoch),
        finished=_time(stored[Key.FINISHED].int_value) if Key.FINISHED in stored else None,
        reason=stored[Key.REASON].string_value or _interruption(state, nodes),
        fingerprint=stored[Key.FINGERPRINT].string_value,
        config=stored[Key.CONFIG].string_value,
        nodes=nodes,
        edges=tuple((upstream, downstream) for upstream, downstream in graph["edges"]),
        folder=folder,
    )


class _NodeReader:
    """Reads the nodes of one run, all their events and artifacts in two queries."""

    def __init__(self, store: MetadataStore, context: mlmd.Context, state: State) -> None:
        self._state = state
        self._started = context.create_time_since_epoch
        self._attempt = max(self._started, context.custom_properties[Key.RESUMED].int_value)
        # The latest wins: continuing a run registers its system nodes a second time.
        self._executions = dict(executions_of(store, context.name))
        self._outputs = _outputs(store, [execution.id for execution in self._executions.values()])

    def read(self, ids: Iterable[str]) -> list[Node]:
        return [self._node(node_id) for node_id in ids]

    def _node(self, node_id: str) -> Node:
        execution = self._executions.get(node_id)
        if execution is None:
            return Node(node_id, State.PENDING, None, ())
        outputs = self._outputs.get(execution.id, [])
        state = self._node_state(execution, [artifact for _, artifact in outputs])
        refs = tuple(_ref(key, artifact) for key, artifact in outputs)
        return Node(node_id, state, self._seconds(execution, state), refs)

    def _node_state(self, execution: mlmd.Execution, outputs: list[mlmd.Artifact]) -> State:
        state = _STATES.get(execution.last_known_state, State.PENDING)
        if state is State.RUNNING and self._state is not State.RUNNING:
            return State.INTERRUPTED if self._state is State.INTERRUPTED else State.FAILED
        if state is State.FAILED and self._state is State.REFUSED:
            return State.REFUSED
        if execution.type.endswith(SYSTEM_NODES):
            old = [artifact.create_time_since_epoch < self._started for artifact in outputs]
            return State.CACHED if state is State.COMPLETE and old and all(old) else state
        return State.REFUSED if any(_refused(artifact) for artifact in outputs) else state

    def _seconds(self, execution: mlmd.Execution, state: State) -> float | None:
        if state is State.INTERRUPTED or GIVEN_UP in execution.custom_properties:
            return None
        began, ended = execution.create_time_since_epoch, execution.last_update_time_since_epoch
        if state is State.RUNNING:
            ended = time.time_ns() // 1_000_000
        # A continued execution keeps its first start; the time between the two attempts is nobody's work.
        began = self._attempt if began < self._attempt <= ended else began
        return (ended - began) / 1000


def _outputs(store: MetadataStore, executions: list[int]) -> dict[int, list[tuple[str, mlmd.Artifact]]]:
    """Output key and artifact of every output event, by execution id."""
    if not executions:
        return {}
    events = [event for event in store.get_events_by_execution_ids(executions) if event.type in OUTPUT_EVENTS]
    wanted = sorted({event.artifact_id for event in events})
    artifacts = {artifact.id: artifact for artifact in store.get_artifacts_by_id(wanted)} if wanted else {}
    found: dict[int, list[tuple[str, mlmd.Artifact]]] = {}
    for event in events:
        key = event.path.steps[0].key if event.path.steps else ""
        found.setdefault(event.execution_id, []).append((key, artifacts[event.artifact_id]))
    return found


def _ref(key: str, artifact: mlmd.Artifact) -> ArtifactRef:
    plain = ("int_value", "double_value", "string_value")
    properties = {
        name: getattr(value, kind)
        for stored in (artifact.properties, artifact.custom_properties)
        for name, value in stored.items()
        if (kind := value.WhichOneof("value")) in plain
    }
    return ArtifactRef(artifact.type, artifact.uri, key, properties)


def _refused(artifact: mlmd.Artifact) -> bool:
    """Whether this is a blessing that was not given: TFX's convention is a property `blessed` of 0."""
    return any(
        stored["blessed"].HasField("int_value") and stored["blessed"].int_value == 0
        for stored in (artifact.properties, artifact.custom_properties)
        if "blessed" in stored
    )


def _node_id(store: MetadataStore, execution: mlmd.Execution) -> str:
    """TFX names a node's context `<pipeline>.<node id>`, and a node id holds no dot."""
    contexts = store.get_contexts_by_execution(execution.id)
    names = [context.name for context in contexts if context.type == NODE]
    return str(names[0]).rpartition(".")[2] if names else ""


def _interruption(state: State, nodes: Iterable[Node]) -> str:
    if state is not State.INTERRUPTED:
        return ""
    stopped = [node.id for node in nodes if node.state is State.INTERRUPTED]
    where = f"in {', '.join(stopped)}" if stopped else "between two nodes"
    return f"The process that ran it ended {where} without finishing. Run the same again to continue."


def _time(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
