"""Runs the nodes of a run, each in a child of this process, as soon as those before it have ended."""

import dataclasses
import functools
import logging
import time
from collections.abc import Collection
from multiprocessing.connection import wait
from typing import Protocol

from components import log_pipe
from lineage.outcome import DONE, ExitCode, InputError
from lineage.runs import Node
from pipeline.config import Config
from pipeline.ir import edges
from runners import verbs
from runners.child import Child, KilledError
from runners.failure import Failure, explain

log = logging.getLogger("slipway.runner")

_TICK = 0.5  # seconds between two looks at the limits


class Observer(Protocol):
    """Is told how the run goes on."""

    def began(self, node_ids: list[str]) -> None:
        """The run begins with these nodes, in this order."""

    def node_started(self, node_id: str) -> None:
        """A node is being run."""

    def node_finished(self, node: Node) -> None:
        """A node has ended, well or not."""

    def node_kept(self, node: Node) -> None:
        """A node had ended well already."""


def run_nodes(
    begun: verbs.Begun, config: Config, observer: Observer, node_ids: Collection[str] | None = None
) -> Failure | None:
    """Runs nodes, all or those of these ids; when one has failed, waits for those that run and starts no more.

    Returns:
      The failure of the first node that failed.

    Raises:
      InputError: a node before these, in the graph, has not been run.
    """
    own = node_ids or begun.node_ids
    observer.began([node_id for node_id in begun.node_ids if node_id in own])
    return _run(_Work(begun, config, observer, own))


def run_node(begun: verbs.Begun, config: Config, observer: Observer, node_id: str) -> Failure | None:
    """Runs one node, of which the observer has been told; otherwise as `run_nodes` does."""
    return _run(_Work(begun, config, observer, [node_id]))


def _run(work: "_Work") -> Failure | None:
    try:
        while work.goes_on:
            work.start_ready()
            work.look()
    finally:
        work.stop()
    return work.failure


@dataclasses.dataclass
class _Attempt:
    child: Child
    began: float
    retries: int
    stopped: str = ""  # why it was killed here


class _Work:
    def __init__(self, begun: verbs.Begun, config: Config, observer: Observer, node_ids: Collection[str]):
        self._begun, self._config, self._observer = begun, config, observer
        self._user_file = str(config.resolve(config.model))
        self._waiting = {node_id: {up for up, down in edges(begun.ir) if down == node_id} for node_id in node_ids}
        self._running: dict[str, _Attempt] = {}
        self.failure: Failure | None = None
        for node in begun.read().nodes:
            if node.state in DONE:
                if node.id in self._waiting and node.id in begun.node_ids:
                    observer.node_kept(node)
                self._ended_well(node.id)
        missing = set().union(*self._waiting.values()) - set(self._waiting)
        if missing:
            raise InputError(f"{', '.join(sorted(missing))} must have run before {', '.join(self._waiting)} can.")

    @property
    def goes_on(self) -> bool:
        return bool(self._running or (self._waiting and not self.failure))

    def start_ready(self) -> None:
        for node_id in [node_id for node_id, before in self._waiting.items() if not before]:
            if not self.failure:
                del self._waiting[node_id]
                self._observer.node_started(node_id)
                self._start(node_id, self._config.nodes.of(node_id).retries)

    def look(self) -> None:
        """Waits a little for what the children have to say."""
        wait([each for attempt in self._running.values() for each in attempt.child.waits], timeout=_TICK)
        for node_id, attempt in list(self._running.items()):
            for record in attempt.child.receive():
                record.node = node_id
                log_pipe.show(record)
            if attempt.child.ended:
                del self._running[node_id]
                self._ended(node_id, attempt)
            else:
                self._hold_limits(node_id, attempt)

    def stop(self) -> None:
        """Ends what still runs, for the run is interrupted."""
        for attempt in self._running.values():
            attempt.child.stop()

    def _start(self, node_id: str, retries: int) -> None:
        work = functools.partial(_launch, self._begun, node_id)
        self._running[node_id] = _Attempt(Child(work), time.monotonic(), retries)

    def _ended(self, node_id: str, attempt: _Attempt) -> None:
        try:
            attempt.child.result()
        except Exception as error:
            failure = explain(KilledError(attempt.stopped) if attempt.stopped else error, self._user_file)
            if attempt.retries and failure.exit_code is ExitCode.WORK_FAILED:
                log.warning("%s: %s Running it again.", node_id, failure.message)
                self._start(node_id, attempt.retries - 1)
                return
            self._fail(node_id, failure)
        else:
            self._observer.node_finished(verbs.recorded(self._begun, node_id))
            self._ended_well(node_id)

    def _ended_well(self, node_id: str) -> None:
        self._waiting.pop(node_id, None)
        for before in self._waiting.values():
            before.discard(node_id)

    def _fail(self, node_id: str, failure: Failure) -> None:
        self._observer.node_finished(dataclasses.replace(verbs.recorded(self._begun, node_id), state=failure.state))
        prefix = "" if failure.message.startswith(node_id) else f"{node_id}: "
        self.failure = self.failure or dataclasses.replace(failure, message=f"{prefix}{failure.message}")

    def _hold_limits(self, node_id: str, attempt: _Attempt) -> None:
        limits = self._config.nodes.of(node_id)
        if limits.timeout is not None and time.monotonic() - attempt.began > limits.timeout:
            attempt.stopped = f"was stopped after {limits.timeout:g} s, its limit: raise nodes.{node_id}.timeout"
        elif limits.memory is not None and (held := attempt.child.memory()) > limits.memory:
            attempt.stopped = (
                f"was stopped when it held {held / 1e9:.2f} GB; its limit is {limits.memory / 1e9:.2f} GB: raise "
                f"nodes.{node_id}.memory, or make the work smaller"
            )
        if attempt.stopped:
            attempt.child.kill()


def _launch(begun: verbs.Begun, node_id: str) -> None:
    """In the child, with a connection to the store of its own: SQLite's is not to be carried across a fork."""
    verbs.node(verbs.load(begun.root, begun.run_id), node_id)
