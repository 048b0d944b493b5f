"""The order of examples that are on disk in blocks: a permutation of all rows that reads them block by block.

The blocks come in an order of their own in each epoch. The steps of an epoch are cut into windows of as many rows as
some blocks have, and the rows of a window are permuted: a step needs the blocks of its window, and no others.
"""

import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf

from components.dataset import Blocks, DiskSplit, Rows


class Window(NamedTuple):
    """Some steps that follow one another, and the blocks that have their rows.

    Attributes:
      first: The first step, int64 like all numbers here.
      end: The step after the last one.
      place: At which place of the epoch the first of the blocks begins.
      rows: Those of the blocks; lists of values as RaggedTensors.
    """

    first: tf.Tensor
    end: tf.Tensor
    place: tf.Tensor
    rows: Rows


@dataclasses.dataclass(frozen=True)
class BlockOrder:
    """Where in the permuted blocks the rows of a step are.

    Args:
      examples: Rows there are.
      batch_size: Rows of a step; the last one of an epoch has what is left.
      blocks: Rows of a block, and blocks of a window.
      seed: Of the permutations; None: blocks and rows in their own order.
    """

    examples: int
    batch_size: int
    blocks: Blocks
    seed: int | None

    def places(self, positions: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """From the positions `[m]` of a step's rows in its epoch to their places in the epoch's permuted blocks."""
        if self.seed is None:
            return positions
        epoch, window = step // self._steps, step % self._steps // self._steps_of_window
        first, end = self._span(window)
        return first + _shuffle(positions - first, [self.seed, epoch, 1 + window], end - first)

    def numbers(self, places: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """The row numbers at places `[m]` of the step's epoch."""
        blocks, starts = self._blocks(step // self._steps)
        which = tf.searchsorted(starts, places, side="right") - 1
        return tf.gather(blocks, which) * self.blocks.rows + places - tf.gather(starts, which)

    def windows(self, split: DiskSplit, first_step: int) -> tf.data.Dataset:
        """An endless dataset of Window from a step on; while one is used, the next is read."""
        windows = -(-self._steps // self._steps_of_window)

        def read(number: tf.Tensor) -> Window:
            epoch, window = number // windows, number % windows
            first = epoch * self._steps + window * self._steps_of_window
            end = tf.minimum(first + self._steps_of_window, (epoch + 1) * self._steps)
            blocks, starts = self._blocks(epoch)
            low, high = self._span(window)
            low, high = tf.unstack(tf.searchsorted(starts, tf.stack([low, high - 1]), side="right") - 1)
            return Window(tf.maximum(first, first_step), end, starts[low], split.read(blocks[low : high + 1]))

        epoch, of_epoch = divmod(first_step, self._steps)
        first = epoch * windows + of_epoch // self._steps_of_window
        return tf.data.Dataset.counter(first).map(read).prefetch(1)

    @property
    def _steps(self) -> int:
        return -(-self.examples // self.batch_size)

    @property
    def _steps_of_window(self) -> int:
        return max(1, self.blocks.window * self.blocks.rows // self.batch_size)

    def _span(self, window: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The positions, and places, of a window in its epoch."""
        rows = self._steps_of_window * self.batch_size
        return window * rows, tf.minimum(window * rows + rows, self.examples)

    def _blocks(self, epoch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Which block comes when in an epoch, and at which place it begins; the last one may have fewer rows."""
        count = -(-self.examples // self.blocks.rows)
        blocks = tf.range(count, dtype=tf.int64)
        if self.seed is not None:
            blocks = _shuffle(blocks, [self.seed, epoch, 0], count)
        sizes = tf.minimum(self.examples - blocks * self.blocks.rows, self.blocks.rows)
        return blocks, tf.cumsum(sizes, exclusive=True)


def _shuffle(index: tf.Tensor, seed: list[Any], size: Any) -> tf.Tensor:
    """Where a permutation of 0 ... size - 1 has the indices."""
    seeds = tf.stack([tf.cast(each, tf.int64) for each in seed])
    last = tf.cast(size, tf.int64) - 1
    # Four rounds, those of tf.random.experimental.index_shuffle, leave neighbours together for some seeds: (3, 0, 3).
    return tf.raw_ops.RandomIndexShuffle(index=index, seed=seeds, max_index=last, rounds=12)
