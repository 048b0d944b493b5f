"""Claims about work in a child: what it has started ends with it."""

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from runners.child import Child


@pytest.mark.parametrize("killed", [True, False])
def test_what_a_child_has_started_ends_with_it_even_where_it_is_killed(tmp_path: Path, killed: bool) -> None:
    def work() -> None:
        started = subprocess.Popen(["sleep", "600"])
        (tmp_path / "new").write_text(f"{os.getpid()} {started.pid}")
        (tmp_path / "new").rename(tmp_path / "pids")
        time.sleep(600 if killed else 0)

    child = Child(work)
    while not (tmp_path / "pids").exists():
        time.sleep(0.01)
    own, started = map(int, (tmp_path / "pids").read_text().split())
    if killed:
        os.kill(own, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(started)] if psutil.pid_exists(started) else [], timeout=60)
    assert not psutil.pid_exists(started)
    while not child.ended:
        child.receive()
