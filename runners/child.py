"""Work in a forked child of this process, which has done the slow imports: a crash there ends that work only."""

import gc
import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from components import log_pipe
from components.trainer.worker_error import WorkerError
from lineage.outcome import GateRefused, InputError
from runners.parent import end_group_with_this, end_with_parent

_PASSED_ON = (InputError, GateRefused, WorkerError)
_OUT_OF_MEMORY = (
    "was killed by the kernel's OOM killer: the machine, or the container, had no memory left. Give it more, or make "
    "the work smaller, such as a smaller trainer.batch_size or a greater trainer.accumulate"
)
_SECONDS_TO_SAVE = 60.0  # that a training has between SIGTERM and SIGKILL


class KilledError(Exception):
    """The child ended without a word; the message says how."""


class Child:
    """A forked child that calls a function; no process of it outlives this one, not even after `kill -9`.

    TensorFlow must not have run anything in this process. What the child logs comes in by `connection`.

    Example:
      child = Child(work)
      while not child.ended:
          for record in child.receive(): ...
      value = child.result()
    """

    def __init__(self, work: Callable[[], Any]):
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_enter, args=(work, theirs, os.getpid()))
        self._oom_kills = _oom_kills()
        self._process.start()
        theirs.close()
        self._outcome: Any = None
        self.ended = False

    @property
    def waits(self) -> list[Any]:
        """What becomes ready when it has logged something or ended; for `multiprocessing.connection.wait`."""
        return [self.connection, self._process.sentinel]

    def receive(self) -> list[logging.LogRecord]:
        """What it has logged since; sets `ended` when that was all."""
        records: list[logging.LogRecord] = []
        over = self._process.exitcode is not None  # asked before the pipe is emptied, so that nothing is lost
        try:
            while self.connection.poll():
                message = self.connection.recv()
                if isinstance(message, logging.LogRecord):
                    records.append(message)
                else:
                    self._outcome = message
        except (EOFError, OSError):
            self._process.join()
            over = True
        self.ended = over
        return records

    def result(self) -> Any:
        """What the function returned, once `ended`.

        Raises:
          KilledError: the process was killed.
          Exception: InputError, GateRefused and WorkerError as they were raised, others as a WorkerError.
        """
        if self._outcome is None:
            out_of_memory = self._process.exitcode == -signal.SIGKILL and _oom_kills() > self._oom_kills
            raise KilledError(_OUT_OF_MEMORY if out_of_memory else _how(self._process.exitcode or 0))
        value, error = self._outcome
        if error is not None:
            raise error
        return value

    def memory(self) -> int:
        """Bytes that it and its children hold; what they share counts a part for each."""
        try:
            main = psutil.Process(self._process.pid)
            return sum(_held(process) for process in [main, *main.children(recursive=True)])
        except psutil.NoSuchProcess:
            return 0

    def stop(self) -> None:
        """Asks it to end, and waits until it has; a training first saves where it is."""
        if self._process.exitcode is None:
            self._process.terminate()
            self._process.join(_SECONDS_TO_SAVE)
        self.kill()

    def kill(self) -> None:
        """Ends it at once, with all processes that it has started and that have not left its session."""
        if self._process.exitcode is None and self._process.pid is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.join()


def in_child(work: Callable[[], Any]) -> Any:
    """Calls a function in a forked child and returns what it returns, or raises what it raises: see `Child.result`."""
    child = Child(work)
    try:
        while not child.ended:
            wait(child.waits)
            for record in child.receive():
                log_pipe.show(record)
        return child.result()
    finally:
        child.kill()


def _enter(work: Callable[[], Any], connection: Connection, parent: int) -> None:
    os.setsid()  # Ctrl-C goes to the parent, who then asks its children to end
    gc.freeze()  # what is imported stays: each full collection would look through it for a third of a second
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    end_group_with_this()
    for number, handler in ((signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        signal.signal(number, handler)
    log_pipe.send_logs_to(connection, logging.getLogger("slipway").level)
    outcome: tuple[Any, Exception | None]
    try:
        outcome = work(), None
    except _PASSED_ON as error:
        traceback.print_exc()  # goes to the run's log
        outcome = None, error
    except Exception as error:
        traceback.print_exc()
        outcome = None, WorkerError.of(error)
    connection.send(outcome)
    connection.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # not by way of the parent's exit handlers, or of TensorFlow's threads


def _held(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def _how(exitcode: int) -> str:
    return f"was killed by {signal.Signals(-exitcode).name}" if exitcode < 0 else f"ended by itself, with {exitcode}"


def _oom_kills() -> int:
    """How many processes the kernel has killed so far since there was no memory left."""
    lines = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return int(lines.get("oom_kill", 0))
