"""How sure a mean difference between two models is, from what they answered about the same examples."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


def paired_interval(differences: NDArray[Any], weights: NDArray[Any] | None = None) -> tuple[float, float]:
    """The 95 % interval of the mean of paired differences, which stays wide where there are few pairs.

    Of right and wrong answers (differences -1, 0 and 1) it is that of Agresti and Min, Simple improved confidence
    intervals for comparing matched proportions, Statistics in Medicine 24, 2005: the normal interval after half a pair
    has been added to each of the four outcomes, that is two pairs with the mean 0 and the sum of squares 1. The same
    two are added to other differences, whose unit should be such that 1 is large. Where pairs are weighted, their
    number is Kish's effective one, (sum of weights)^2 / sum of squared weights.

    Args:
      differences: `[n]`, one a pair.
      weights: `[n]`; None where all count the same.

    Returns:
      Lower and upper end.

    Example:
      >>> low, high = paired_interval(np.array([1.0]))  # one example, and it was harmed: that may be luck
      >>> low < 0 < high
      True
    """
    pairs = len(differences) if weights is None else weights.sum() ** 2 / np.square(weights).sum()
    mean = pairs * np.average(differences, weights=weights) / (pairs + 2)
    square = (pairs * np.average(np.square(differences), weights=weights) + 1) / (pairs + 2)
    half = _Z * math.sqrt((square - mean**2) / (pairs + 2))
    return float(mean - half), float(mean + half)
