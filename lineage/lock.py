"""The lock that a runner holds on its run: while held, the run is alive; the kernel lets go of it on kill -9."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from lineage.outcome import InputError
from lineage.store import make_run_folder, run_folder

_SECONDS = 1.0  # a reader that asks whether the run is alive holds the lock for microseconds
_PAUSE = 0.05


class BusyError(InputError):
    """Another process is at it."""


class RunLock:
    """Exclusive lock on ROOT/runs/<run id>/lock, held from `with` until its end or the death of the process.

    Forked children share it, so a run counts as alive while one of its nodes still works.

    Example:
      with RunLock(root, run_id):
          begin_run(store, root, run_id, ...)
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self._root, self._run_id = root, run_id
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Takes the lock.

        Raises:
          InputError: another process holds it, or the run's folder cannot be made.
        """
        folder = make_run_folder(self._root, self._run_id)
        self._held.enter_context(_busy(self._root))
        self._held.enter_context(_exclusive(lock_path(folder), f"Run {self._run_id}"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()


@contextlib.contextmanager
def node_locks(root: Path, run_id: str, node_ids: Iterable[str], seconds: float) -> Iterator[None]:
    """Exclusive locks on nodes of a run, for runners that run each node in a process of its own.

    Args:
      root: The root folder.
      run_id: A run that has begun.
      node_ids: The nodes.
      seconds: How long to wait for a process that runs one of them, and that is perhaps about to die.

    Raises:
      BusyError: another process holds one.
    """
    with _busy(root), contextlib.ExitStack() as held:
        for node_id in node_ids:
            path = run_folder(root, run_id) / f"{node_id}.lock"
            held.enter_context(_exclusive(path, f"Node {node_id} of run {run_id}", seconds))
        yield


@contextlib.contextmanager
def no_runs(root: Path) -> Iterator[None]:
    """Nothing runs under the root folder, and nothing begins to until the end of `with`.

    Raises:
      InputError: something runs.
    """
    with _busy_file(root) as file:
        if not _acquire(file, fcntl.LOCK_EX, _SECONDS):
            raise InputError(f"A run under {root} is going on. Run this again when it has ended.")
        yield


@contextlib.contextmanager
def _busy(root: Path) -> Iterator[None]:
    """Something runs under the root folder."""
    with _busy_file(root) as file:
        if not _acquire(file, fcntl.LOCK_SH, _SECONDS):
            raise InputError(f"Old outputs under {root} are just being removed. Run this again in a moment.")
        yield


@contextlib.contextmanager
def _busy_file(root: Path) -> Iterator[IO[str]]:
    with (root / "runs" / "busy.lock").open("a+", encoding="utf-8") as file:
        yield file


def lock_path(folder: Path) -> Path:
    """The lock file in the folder of a run."""
    return folder / "lock"


def is_held(folder: Path) -> bool:
    """Whether some process holds the lock of the run whose folder this is."""
    try:
        file = lock_path(folder).open("rb")
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextlib.contextmanager
def _exclusive(path: Path, what: str, seconds: float = _SECONDS) -> Iterator[None]:
    with path.open("a+", encoding="utf-8") as file:
        if not _acquire(file, fcntl.LOCK_EX, seconds):
            file.seek(0)
            raise BusyError(
                f"{what} is being run by another process (pid {file.read().strip() or 'unknown'}). "
                "Wait for its end, or stop that process and run again."
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _acquire(file: IO[str], kind: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            return True
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
