"""Whatever is killed, whenever: the run goes on, and ends as one that nobody disturbed."""

import contextlib
import os
import random
import signal
import time

import psutil
import pytest

from tests.runners.consistent import check_undisturbed
from tests.runners.small import Small


def disturb(small: Small, chance: random.Random) -> bool:
    """Starts a run and kills the runner or one of its nodes at some moment; False where it ended before."""
    runner = small.start("trainer.seed=1", force=True)
    assert runner.pid is not None
    time.sleep(chance.uniform(0.0, 1.2))
    with contextlib.suppress(psutil.NoSuchProcess):
        processes = [psutil.Process(runner.pid), *psutil.Process(runner.pid).children(recursive=True)]
        os.kill(chance.choice(processes).pid, signal.SIGKILL)
    runner.join(60)
    return runner.exitcode != 0


def chaos(small: Small, times: int) -> None:
    chance, killed = random.Random(7), 0
    for _ in range(times):
        disturbed = disturb(small, chance)
        killed += disturbed
        while small.run("trainer.seed=1", force=True) != 0:
            assert not disturbed, "what was killed is continued"
        check_undisturbed(small)
    assert killed >= times / 3


def test_runs_that_are_killed_at_random_end_like_others(small: Small) -> None:
    chaos(small, times=4)


@pytest.mark.full
def test_thirty_runs_that_are_killed_at_random_end_like_others(small: Small) -> None:
    chaos(small, times=30)
