"""A run's lock lives exactly as long as the processes that work for it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lineage.lock import RunLock, is_held
from lineage.outcome import InputError
from lineage.store import run_folder

# Takes the lock, says so, waits for its end; with a forked child that outlives it where asked.
HOLDER = """
import os, pathlib, sys, time
from lineage.lock import RunLock
with RunLock(pathlib.Path(sys.argv[1]), "r1"):
    child = os.fork() if sys.argv[2] == "forking" else -1
    if child:
        print(child, flush=True)
    time.sleep(600)
"""


@contextmanager
def holder(root: Path, way: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds the lock of run r1, and the pid of its forked child."""
    command = [sys.executable, "-c", HOLDER, str(root), way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            yield process, child
        finally:
            process.kill()


def test_a_run_is_alive_until_its_process_is_killed(root: Path) -> None:
    folder = run_folder(root, "r1")
    assert not is_held(folder)
    with holder(root, "alone") as (process, _):
        assert is_held(folder)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_held(folder)


def test_a_second_runner_is_told_which_process_has_the_run(root: Path) -> None:
    with holder(root, "alone") as (process, _):
        with pytest.raises(InputError, match=rf"another process \(pid {process.pid}\)"), RunLock(root, "r1"):
            pass
        assert is_held(run_folder(root, "r1"))


def test_a_run_stays_alive_while_a_forked_node_outlives_the_runner(root: Path) -> None:
    with holder(root, "forking") as (process, child):
        process.send_signal(signal.SIGKILL)
        process.wait()
        try:
            assert is_held(run_folder(root, "r1"))
        finally:
            os.kill(child, signal.SIGKILL)
            assert process.stdout is not None
            process.stdout.read()  # ends when the child, the last writer, has gone
        assert not is_held(run_folder(root, "r1"))


def test_the_lock_can_be_taken_again_after_its_end(root: Path) -> None:
    for _ in range(2):
        with RunLock(root, "r1"):
            assert is_held(run_folder(root, "r1"))
    assert not is_held(run_folder(root, "r1"))
