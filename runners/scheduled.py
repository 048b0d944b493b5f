"""Two of the verbs as a scheduler calls them, each in a process of its own: begin and node. Both may be repeated."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from lineage import recording
from lineage.lock import BusyError, node_locks
from lineage.outcome import ExitCode, InputError, State
from lineage.runs import find_run, latest_run, run_contexts
from lineage.store import create_store
from pipeline import spans
from pipeline.compile import reading
from pipeline.config import Config, loads
from pipeline.fingerprint import run_inputs
from pipeline.ir import node_ids as ids_of
from pipeline.nodes import NODE_IDS
from runners import verbs
from runners.compiled import Compiled
from runners.failure import Failure
from runners.local import sigterm_as_exit
from runners.nodes import Observer, run_nodes
from runners.partial import Partial, check_known, inputs_of, partial
from runners.plan import Plan

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SECONDS_TO_DIE = 90.0  # of the attempt before, whose training saves where it is


@dataclasses.dataclass(frozen=True)
class Part:
    """Which nodes are run; None stands for all, for all that depend on `first`, and for the latest run."""

    first: str | None = None
    last: str | None = None
    base: str | None = None


def begin(
    compiled: Compiled, run_id: str, runner: str, part: Part | None = None, span: int | None = None
) -> verbs.Begun:
    """Begins a run of that id; of one that has begun already nothing happens, and one that has ended goes on.

    Args:
      compiled: The pipeline.
      run_id: A name for the run.
      runner: The scheduler's name.
      part: Which nodes are run; None for all.
      span: The last span of the data, where it comes in spans; None for the newest when the run first begins.

    Raises:
      InputError: the id cannot name a folder, that run began with other data or code, or the part cannot be run; or
        there is no such span.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise InputError(f"Got the run id {run_id!r}, expected letters, digits, dots, dashes and underscores.")
    chosen = _chosen(compiled, run_id, part or Part())
    config = _of_spans(compiled, run_id, chosen, span)
    inputs = inputs_of(run_inputs(config), chosen)
    anew = frozenset(NODE_IDS) if chosen else frozenset[str]()
    ir = reading(compiled.ir, config) if compiled.config.data.has_spans else compiled.ir
    return verbs.begin(Plan(config, compiled.root, run_id, inputs, False, anew, chosen, runner), ir)


def node(root: Path, run_id: str, node_ids: Sequence[str], observer: Observer) -> Failure | None:
    """Runs nodes of a run that has begun, unless they have run or are not of its part; a failure is recorded as the
    run's reason, too. To run them again after a failure is left to the scheduler.

    Raises:
      InputError: a node is unknown, or those before it have not run.
    """
    begun = verbs.load(root, run_id)
    for node_id in node_ids:
        check_known(node_id, ids_of(begun.ir))
    own = [node_id for node_id in node_ids if node_id in begun.node_ids]
    if not own:
        return None
    run = begun.read()
    config = _without_retries(loads(run.config, run.place))
    try:
        with sigterm_as_exit(), node_locks(root, run_id, own, _SECONDS_TO_DIE):
            failure = run_nodes(begun, config, observer, own)
    except BusyError as error:
        return Failure(State.RUNNING, ExitCode.WORK_FAILED, str(error))
    if failure and failure.state is State.REFUSED:
        verbs.end(begun, failure.state, failure.message)  # of the execution itself only that it failed is recorded
    elif failure:
        recording.note(begun.store, run_id, failure.message)
    return failure


def _chosen(compiled: Compiled, run_id: str, part: Part) -> Partial | None:
    """The part, checked; a run that has begun already has taken its nodes from the run before itself, too."""
    if part.first is None:
        if part.last or part.base:
            raise InputError("Got the last node or the base of a part, expected its first node, too: --from NODE.")
        return None
    name = compiled.config.name
    store = create_store(compiled.root, compiled.config.metadata)
    latest = latest_run(store, compiled.root, name, before=run_id)
    base = find_run(store, compiled.root, part.base) if part.base else latest
    if base is None:
        raise InputError(
            f"{name} has not run under {compiled.root} yet, so {part.first} has nothing to go on. Run it all."
        )
    return partial(base, part.first, part.last)


def _of_spans(compiled: Compiled, run_id: str, part: Partial | None, span: int | None) -> Config:
    """The config of the run: one that has begun keeps the spans that were the newest, a part has those of its base."""
    if part and span is not None:
        raise InputError(f"Got span {span} for a part of a run, which is of the spans of {part.base}. Leave it out.")
    if not compiled.config.data.has_spans or span is not None:
        return spans.resolve(compiled.config, compiled.root, span)
    store = create_store(compiled.root, compiled.config.metadata)
    same = part.base if part else run_id
    if same not in {context.name for context in run_contexts(store, compiled.config.name)}:
        return spans.resolve(compiled.config, compiled.root)
    run = find_run(store, compiled.root, same)
    return spans.as_read_by(loads(run.config, run.place), compiled.config)


def _without_retries(config: Config) -> Config:
    nodes = {name: getattr(config.nodes, name).model_copy(update={"retries": 0}) for name in ("all", *NODE_IDS)}
    return config.model_copy(update={"nodes": config.nodes.model_copy(update=nodes)})
