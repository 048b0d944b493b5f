"""Trains in processes of their own: starts them, passes on what they say, and starts again when one dies.

TensorFlow has to know the cluster before it runs anything, so not even the chief can train in the node's process.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import tensorflow as tf

from components import log_pipe
from components.trainer.cluster import Cluster
from components.trainer.not_finite import NotFiniteError
from components.trainer.termination import Termination
from components.trainer.worker_error import LostWorkerError, WorkerError
from lineage.outcome import InputError

log = logging.getLogger("slipway.trainer")

Work = Callable[[Cluster, str], None]

_LOST = 75  # exit code of a process that lost another one
_SECONDS_TO_SAVE = 60  # that processes have between SIGTERM and SIGKILL
_PASSED_ON = (InputError, NotFiniteError)


def train_in_processes(clusters: Sequence[Cluster], work: Work, argument: str, restarts: int) -> None:
    """Does the work in a process for each cluster, and again after one of them has died.

    Args:
      clusters: The processes to start here, as each of them sees the cluster.
      work: A function of a module, called as `work(cluster, argument)` in each process.
      argument: What to do.
      restarts: Times that the work is begun again.

    Raises:
      LostWorkerError: a process died once more than that.
      InputError, NotFiniteError, WorkerError: what the work raised.
    """
    for attempt in range(restarts + 1):
        try:
            _attempt(clusters, work, argument)
            return
        except LostWorkerError as lost:
            if attempt == restarts:
                raise LostWorkerError(f"{lost} The training had been started again {restarts} times.") from None
            log.warning("%s Going on from the last checkpoint (restart %d of %d).", lost, attempt + 1, restarts)


def _attempt(clusters: Sequence[Cluster], work: Work, argument: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__])  # imported once, for all processes and attempts
    processes, connections = [], []
    for cluster in clusters:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_enter, args=(work, cluster, argument, theirs), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
        connections.append(ours)
    try:
        with Termination() as termination:
            _watch(clusters, processes, connections, termination)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _watch(
    clusters: Sequence[Cluster], processes: list[Any], connections: list[Connection], termination: Termination
) -> None:
    """Until all have ended well. Raises what one of them sent, or LostWorkerError."""
    kill_at = float("inf")
    while any(process.exitcode is None for process in processes) or connections:
        if termination.requested and kill_at == float("inf"):
            for process in processes:
                process.terminate()
            kill_at = time.monotonic() + _SECONDS_TO_SAVE
        running = [process.sentinel for process in processes if process.exitcode is None]
        for ready in wait([*connections, *running], timeout=0.2):
            if isinstance(ready, Connection) and not _pass_on(ready):
                connections.remove(ready)
        if not termination.requested:
            _check(clusters, processes)
        elif time.monotonic() > kill_at:
            break
    if termination.requested:
        termination.end()


def _pass_on(connection: Connection) -> bool:
    """Logs, or raises, what a process has sent; False where it will send nothing more."""
    try:
        message = connection.recv()
    except (EOFError, OSError):
        return False
    if isinstance(message, Exception):
        raise message
    log_pipe.show(message)
    return True


def _check(clusters: Sequence[Cluster], processes: list[Any]) -> None:
    for cluster, process in zip(clusters, processes, strict=True):
        if process.exitcode == _LOST:
            raise LostWorkerError(f"Worker {cluster.index} lost another one.")
        if process.exitcode:
            killed = process.exitcode < 0
            how = f"was killed by {signal.Signals(-process.exitcode).name}" if killed else f"ended ({process.exitcode})"
            raise LostWorkerError(f"Worker {cluster.index} {how}.")


def _enter(work: Work, cluster: Cluster, argument: str, connection: Connection) -> None:
    """The main function of a process."""
    os.setsid()  # Ctrl-C goes to who started it, who then asks all processes to end
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # All of the chief's, warnings of the others.
    log_pipe.send_logs_to(connection, logging.DEBUG if cluster.is_chief else logging.WARNING)
    try:
        work(cluster, argument)
    except _PASSED_ON as error:
        connection.send(error)
    except Exception as error:
        traceback.print_exc()
        if _is_lost(error):
            sys.stderr.flush()
            os._exit(_LOST)  # not by way of TensorFlow's threads, which may wait for the dead
        connection.send(WorkerError.of(error))
    sys.stdout.flush()
    sys.stderr.flush()
    connection.close()
    os._exit(0)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGKILL)


def _is_lost(error: Exception) -> bool:
    """Whether the error is what a collective operation ends with when another process has gone."""
    gone = (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
    )
    return isinstance(error, gone) or (isinstance(error, tf.errors.OpError) and "ollective" in str(error))
