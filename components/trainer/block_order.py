"""The order of examples that are on disk in blocks: a permutation of all rows that reads the file block by block.

The blocks come in an order of their own in each epoch. What follows one another in it is cut into windows, and the rows
of a window are permuted: at any time rows of two windows at most are read. It is NumPy's work, as the reading is:
TensorFlow's `index_shuffle`, which in memory permutes all rows, would be needed three times.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.dataset import Blocks

Numbers = NDArray[Any]


def rows_at(positions: Numbers, epoch: int, *, examples: int, blocks: Blocks, seed: int) -> Numbers:
    """The row numbers at these positions of an epoch, all in 0 ... examples - 1; drawn from (seed, epoch)."""
    places, size = np.empty_like(positions), blocks.rows * blocks.window
    windows = positions // size
    for window in np.unique(windows).tolist():
        first, is_here = window * size, windows == window
        order = _order_in_window(min(size, examples - first), seed, epoch, window)
        places[is_here] = first + order[positions[is_here] - first]
    order, starts = _order_of_blocks(examples, blocks.rows, seed, epoch)
    numbers = np.searchsorted(starts, places, side="right") - 1
    return order[numbers] * blocks.rows + places - starts[numbers]


@functools.lru_cache(
    maxsize=4
)  # for an epoch that ends while the next one begins, in training and the timing before it
def _order_of_blocks(examples: int, block_rows: int, seed: int, epoch: int) -> tuple[Numbers, Numbers]:
    """Which block comes when, and at which place of the epoch it begins; the last one may have fewer rows."""
    order = _random(seed, epoch, 0).permutation(-(-examples // block_rows))
    sizes = np.minimum(block_rows, examples - order * block_rows)
    return order, np.cumsum(sizes) - sizes


@functools.lru_cache(maxsize=4)
def _order_in_window(rows: int, seed: int, epoch: int, window: int) -> Numbers:
    return _random(seed, epoch, 1 + window).permutation(np.arange(rows, dtype=np.int32))


def _random(*seed: int) -> np.random.Generator:
    return np.random.default_rng([each % 2**64 for each in seed])
