"""The three verbs as a scheduler calls them, each in a process of its own: begin, node, end. All may be repeated."""

import ctypes
import re
import signal
from collections.abc import Sequence
from pathlib import Path

from lineage import recording
from lineage.lock import node_locks
from lineage.outcome import InputError, State
from lineage.report import render
from lineage.runs import Run
from pipeline.compile import node_ids as ids_of
from pipeline.config import loads
from pipeline.fingerprint import run_inputs
from runners import verbs
from runners.compiled import Compiled
from runners.failure import Failure
from runners.nodes import Observer, run_nodes
from runners.partial import check_known
from runners.plan import Plan

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PR_SET_PDEATHSIG = 1
_SECONDS_TO_DIE = 90.0  # of the attempt before, whose training saves where it is


def begin(compiled: Compiled, run_id: str, runner: str) -> None:
    """Begins a run of that id; of one that has begun already, and has not ended, nothing happens.

    Raises:
      InputError: the id cannot name a folder, or that run has ended, or began with other data or code.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise InputError(f"Got the run id {run_id!r}, expected letters, digits, dots, dashes and underscores.")
    inputs = run_inputs(compiled.config)
    planned = Plan(compiled.config, compiled.root, run_id, inputs, False, frozenset(), None, runner)
    verbs.begin(planned, compiled.ir)


def node(root: Path, run_id: str, node_ids: Sequence[str], observer: Observer) -> Failure | None:
    """Runs nodes of a run that has begun, unless they have run; a failure is recorded as the run's reason, too.

    This process ends with its parent: a scheduler that was killed, and begins again, meets nobody at work.

    Raises:
      InputError: a node is unknown, or those before it have not run, or another process runs it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    begun = verbs.load(root, run_id)
    for node_id in node_ids:
        check_known(node_id, ids_of(begun.ir))
    run = begun.read()
    with node_locks(root, run_id, node_ids, _SECONDS_TO_DIE):
        failure = run_nodes(begun, loads(run.config, run.place), observer, node_ids)
    if failure:
        recording.note(begun.store, run_id, failure.message)
    return failure


def end(root: Path, run_id: str) -> Run:
    """Records how the run ended, as its nodes have, complete where all of them are; writes its report."""
    begun = verbs.load(root, run_id)
    run = begun.read()
    left = [node for node in run.nodes if node.id in begun.node_ids and node.state not in verbs.DONE]
    refused = any(node.state is State.REFUSED for node in left)
    state = State.REFUSED if refused else State.FAILED if left else State.COMPLETE
    reason = run.reason or f"{', '.join(node.id for node in left)} did not run to the end."
    verbs.end(begun, state, reason if left else "")
    ended = begun.read()
    render(ended, ended.folder / "report.html")
    return ended
