"""Writes a run into ML Metadata: its beginning and its end. TFX itself writes the executions in between."""

import dataclasses
import datetime
import enum
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.outcome import InputError, State
from lineage.plain import plain
from lineage.store import PIPELINE, RUN, make_run_folder


class Key(enum.StrEnum):
    """Custom properties of a run's `pipeline_run` context."""

    PIPELINE = "pipeline"
    STATE = "state"
    REASON = "reason"
    FINGERPRINT = "fingerprint"
    CONFIG = "config"
    GRAPH = "graph"  # JSON: {"nodes": [id, ...], "edges": [[upstream, downstream], ...]}
    INPUTS = "inputs"  # JSON: what the fingerprint is of
    PLACE = "place"  # the folder of pipeline.yaml
    BASE = "base"  # id of the run from which the nodes before a rerun's first one are taken; absent otherwise
    RUNNER = "runner"
    # ms since the epoch, as doubles, since ML Metadata keeps integers of 32 bits in PostgreSQL
    STARTED = "started"
    RESUMED = "resumed"  # absent unless the run was continued after an interruption
    FINISHED = "finished"


LOCAL = "local"
BEAM = "beam"
IN_ONE_PROCESS = (LOCAL, BEAM)  # the runners that live as long as the run, and hold its lock


@dataclasses.dataclass(frozen=True)
class NewRun:
    """What is recorded of a run when it begins.

    Attributes:
      pipeline: The pipeline's name.
      fingerprint: Of everything the result depends on; an interrupted run is continued only where it is the same.
      config: The configuration used, as YAML.
      nodes: Node ids in an order in which they can run.
      edges: (upstream id, downstream id) pairs.
      inputs: What the fingerprint is of, by name; for JSON.
      place: The folder of pipeline.yaml.
      base: Id of the run of which a rerun takes the nodes before its first one.
      runner: Who launches the nodes.
      started: When it began; None for now.
    """

    pipeline: str
    fingerprint: str
    config: str
    nodes: Sequence[str]
    edges: Sequence[tuple[str, str]]
    inputs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    place: str = ""
    base: str = ""
    runner: str = LOCAL
    started: datetime.datetime | None = None


def begin_run(store: MetadataStore, root: Path, run_id: str, new: NewRun) -> None:
    """Records that a run begins or goes on: an interrupted one, or one of a scheduler's that is told to begin again.

    A local runner takes its RunLock before.

    Args:
      store: The store that TFX will write to as well.
      root: The root folder; ROOT/runs/<run id>/ is made.
      run_id: What TFX gets as `pipeline_run_id`; unique in the store.
      new: What to record.

    Raises:
      InputError: another process has ended this local run, or begun another of the same id, since the caller chose the
        id; or the run's folder cannot be made.
    """
    make_run_folder(root, run_id)
    context = store.get_context_by_type_and_name(RUN, run_id)
    if context is not None and Key.STATE in context.custom_properties:
        _resume(store, context, new)
        return
    context = context or mlmd.Context(type_id=_type(store, RUN), name=run_id)
    for key, value in _recorded(new).items():
        context.custom_properties[key].string_value = value
    context.custom_properties[Key.STARTED].double_value = new.started.timestamp() * 1000 if new.started else _now()
    [run] = store.put_contexts([context])
    # TFX puts a new run under its pipeline, but takes a run that exists already as it is.
    store.put_parent_contexts([mlmd.ParentContext(parent_id=_pipeline(store, new.pipeline), child_id=run)])


def _recorded(new: NewRun) -> dict[Key, str]:
    return {
        Key.PIPELINE: new.pipeline,
        Key.STATE: State.RUNNING,
        Key.REASON: "",
        Key.FINGERPRINT: new.fingerprint,
        Key.CONFIG: new.config,
        Key.GRAPH: json.dumps({"nodes": list(new.nodes), "edges": [list(edge) for edge in new.edges]}),
        Key.INPUTS: json.dumps(new.inputs),
        Key.PLACE: new.place,
        Key.RUNNER: new.runner,
        **({Key.BASE: new.base} if new.base else {}),
    }


def note(store: MetadataStore, run_id: str, reason: str) -> None:
    """Records why a run could not go on that can be continued."""
    context = store.get_context_by_type_and_name(RUN, run_id)
    context.custom_properties[Key.REASON].string_value = plain(reason)
    store.put_contexts([context])


def finish_run(store: MetadataStore, run_id: str, state: State, reason: str) -> None:
    """Records how a run ended: `reason` says why it failed or was refused, and is empty otherwise.

    Escape sequences for a terminal are taken out of `reason`.
    """
    context = store.get_context_by_type_and_name(RUN, run_id)
    context.custom_properties[Key.STATE].string_value = state
    context.custom_properties[Key.REASON].string_value = plain(reason)
    context.custom_properties[Key.FINISHED].double_value = _now()
    store.put_contexts([context])


def _resume(store: MetadataStore, context: mlmd.Context, new: NewRun) -> None:
    state = context.custom_properties[Key.STATE].string_value
    if state != State.RUNNING and new.runner in IN_ONE_PROCESS:
        raise InputError(f"Run {context.name} was run by another process meanwhile and ended as {state}. Run again.")
    if context.custom_properties[Key.FINGERPRINT].string_value != new.fingerprint:
        raise InputError(
            f"Run {context.name} was begun by another process meanwhile, with other data, code or settings. Run again."
        )
    context.custom_properties[Key.STATE].string_value = State.RUNNING
    context.custom_properties[Key.RUNNER].string_value = new.runner
    context.custom_properties.pop(Key.FINISHED, None)
    context.custom_properties[Key.RESUMED].double_value = _now()
    context.custom_properties[Key.REASON].string_value = ""
    store.put_contexts([context])


def _type(store: MetadataStore, name: str) -> int:
    return int(store.put_context_type(mlmd.ContextType(name=name), can_add_fields=True, can_omit_fields=True))


def _pipeline(store: MetadataStore, name: str) -> int:
    """The id of the pipeline's context, in the form in which TFX would make it."""
    context = store.get_context_by_type_and_name(PIPELINE, name)
    if context is not None:
        return int(context.id)
    return int(store.put_contexts([mlmd.Context(type_id=_type(store, PIPELINE), name=name)])[0])


def _now() -> int:
    return time.time_ns() // 1_000_000
