"""Reads the nodes of a run from its executions and their output events: how far each came and what it made."""

import dataclasses
import time
from collections.abc import Mapping

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.outcome import State
from lineage.recording import Key

MADE = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)  # events of an execution with what it has made
_OUTPUT_EVENTS = (*MADE, mlmd.Event.INTERNAL_OUTPUT)
_SYSTEM_NODES = (".Resolver", ".Importer")
UNFINISHED = (mlmd.Execution.NEW, mlmd.Execution.RUNNING)
SECONDS = "seconds"  # custom property of an imported execution, whose own times are those of the import
UNTIMED = "untimed"  # custom property of an execution that was written down afterwards
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


class NodeReader:
    """Reads the nodes of one run, all their events and artifacts in two queries."""

    def __init__(
        self, store: MetadataStore, run: mlmd.Context, state: State, executions: Mapping[str, mlmd.Execution]
    ) -> None:
        self._state = state
        self._started = run.create_time_since_epoch
        self._attempt = max(self._started, run.custom_properties[Key.RESUMED].double_value)
        self._executions = executions
        self._outputs = _outputs(store, [execution.id for execution in self._executions.values()])

    def read(self, node_id: str) -> Node:
        """The node of that id, whether it has run or not."""
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
        if execution.type.endswith(_SYSTEM_NODES):
            old = [artifact.create_time_since_epoch < self._started for artifact in outputs]
            return State.CACHED if state is State.COMPLETE and old and all(old) else state
        return State.REFUSED if any(blessing(artifact) is False for artifact in outputs) else state

    def _seconds(self, execution: mlmd.Execution, state: State) -> float | None:
        stored = execution.custom_properties
        if state is State.INTERRUPTED or GIVEN_UP in stored or UNTIMED in stored:
            return None
        if SECONDS in execution.custom_properties:
            return float(execution.custom_properties[SECONDS].double_value)
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
    events = [event for event in store.get_events_by_execution_ids(executions) if event.type in _OUTPUT_EVENTS]
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


def blessing(artifact: mlmd.Artifact) -> bool | None:
    """Whether a blessing was given: TFX's convention is a property `blessed` of 0 or 1. None for other artifacts."""
    stored = [each["blessed"] for each in (artifact.properties, artifact.custom_properties) if "blessed" in each]
    values = [value.int_value for value in stored if value.HasField("int_value")]
    return all(values) if values else None
