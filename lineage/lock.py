"""The lock that a runner holds on its run: while held, the run is alive; the kernel lets go of it on kill -9."""

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from lineage.outcome import InputError
from lineage.store import make_run_folder, run_folder

_ATTEMPTS = 20
_PAUSE = 0.05  # seconds; a reader that asks whether the run is alive holds the lock for microseconds


class RunLock:
    """Exclusive lock on ROOT/runs/<run id>/lock, held from `with` until its end or the death of the process.

    Forked children share it, so a run counts as alive while one of its nodes still works.

    Example:
      with RunLock(root, run_id):
          begin_run(store, root, run_id, ...)
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self._root = root
        self._path = lock_path(run_folder(root, run_id))
        self._run_id = run_id
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Takes the lock.

        Raises:
          InputError: another process holds it, or the run's folder cannot be made.
        """
        make_run_folder(self._root, self._run_id)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(self._path.open("a+", encoding="utf-8"))
            if not _acquire(file):
                file.seek(0)
                raise InputError(
                    f"Run {self._run_id} is being run by another process (pid {file.read().strip() or 'unknown'}). "
                    "Wait for its end, or stop that process and run again."
                )
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            stack.pop_all()
        self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


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


def _acquire(file: IO[str]) -> bool:
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False
