"""A process that ends with the one that started it, even where that is killed."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: int) -> None:
    """From now on this process gets the signal when its parent ends; a parent that has ended already goes unnoticed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def end_group_with_this() -> None:
    """When this process has ended, all that it has started and that has stayed in its group, which it leads, is killed.

    Called before it starts anything: a process of its own waits until the other end of a pipe, which this one never
    closes, has gone with it.
    """
    reads, _ = os.pipe()
    if os.fork() != 0:
        os.close(reads)
        return
    os.closerange(0, reads)
    os.closerange(reads + 1, os.sysconf("SC_OPEN_MAX"))
    os.read(reads, 1)
    os.killpg(0, signal.SIGKILL)
