"""A process that ends with the one that started it, even where that is killed."""

import ctypes

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: int) -> None:
    """From now on this process gets the signal when its parent ends; a parent that has ended already goes unnoticed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
