"""In which order examples are trained on: a function of seed and step, so that any step can be found again.

Nothing of an iterator has to be saved: training goes on from step n with the batches it would have had.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from components.dataset import AnySplit, Blocks, DiskSplit, Rows, Split
from components.trainer.block_order import BlockOrder, Window
from components.trainer.workers import Workers

_NEVER = 2**40  # a step
_Take = Callable[[tf.Tensor, tf.Tensor], tuple[Rows, tf.Tensor]]  # of a step and a replica: its rows, how many count


class Batch(NamedTuple):
    """A replica's part of a step: its rows, and how many of them count (int64)."""

    rows: Rows
    count: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Order:
    """The rows of each step.

    Args:
      examples: Rows there are, n.
      batch_size: Rows a step; the last step of an epoch has what is left.
      replicas: Parts that the rows of a step are divided into, as evenly as can be.
      seed: Every epoch is a permutation of all rows drawn from (seed, epoch) by TensorFlow's `index_shuffle`, a
        bijective cipher of the row number; None: rows in their own order.
      blocks: How a split on disk is read, whose permutation is that of `block_order`; None: any row may follow any
        other.
    """

    examples: int
    batch_size: int
    replicas: int
    seed: int | None
    blocks: Blocks | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Steps that see every row once."""
        return -(-self.examples // self.batch_size)

    def rows(self, step: tf.Tensor, replica: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Row numbers `[m]` int64 of a replica at a step (int64 scalars), and how many of them count, int64.

        A replica that gets none, in a last step of fewer rows than replicas, is given one row and the count 0.
        """
        positions, count = self._positions(step, replica)
        if self.blocks is not None:
            return self.in_blocks.numbers(self.in_blocks.places(positions, step), step), count
        if self.seed is None:
            return positions, count
        seed = tf.stack([tf.constant(self.seed, tf.int64), step // self.steps_per_epoch])
        last = tf.constant(self.examples - 1, tf.int64)
        return tf.random.experimental.index_shuffle(positions, seed, last), count

    def places(self, step: tf.Tensor, replica: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where in the permuted blocks of its epoch the rows of a replica are at a step, and how many of them count."""
        positions, count = self._positions(step, replica)
        return self.in_blocks.places(positions, step), count

    @property
    def in_blocks(self) -> BlockOrder:
        """The order of examples on disk."""
        assert self.blocks is not None
        return BlockOrder(self.examples, self.batch_size, self.blocks, self.seed)

    def _positions(self, step: tf.Tensor, replica: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        first = step % self.steps_per_epoch * self.batch_size
        size = tf.minimum(tf.constant(self.batch_size, tf.int64), self.examples - first)
        low, high = first + size * replica // self.replicas, first + size * (replica + 1) // self.replicas
        start = tf.minimum(low, self.examples - 1)
        return tf.range(start, tf.maximum(high, start + 1)), high - low


def batches(
    split: AnySplit,
    order: Order,
    strategy: tf.distribute.Strategy,
    first_step: int = 0,
    augment: Callable[..., Any] | None = None,
) -> Any:
    """An endless iterator of Batch from a step on, one for each replica.

    Args:
      split: The examples.
      order: Which of them when.
      strategy: The replicas; `order.replicas` of them.
      first_step: The step that the first batch is for.
      augment: Called as `augment(features, labels, seed)` on each part and gives features and labels; `seed`, int32
        [2], is for TensorFlow's stateless random functions and is a function of the order's seed and the step.
    """

    workers = Workers(strategy)
    here = workers.local_replicas

    def batch(element: tf.Tensor, take: _Take) -> Batch:
        """Of local replica `element % here` at step `element // here`."""
        step, replica = element // here, workers.index * here + element % here
        rows, count = take(step, replica)
        if augment is not None:
            seed = tf.stack([order.seed, tf.cast(step * order.replicas + replica, tf.int32)])
            features, labels = augment(rows.features, rows.labels, seed)
            rows = rows._replace(features=features, labels=labels)
        return Batch(rows, count)

    def steps(first: Any, end: Any, take: _Take) -> tf.data.Dataset:
        elements = tf.data.Dataset.range(first * here, end * here)
        return elements.map(lambda element: batch(element, take), num_parallel_calls=2)

    if isinstance(split, DiskSplit):
        windows = order.in_blocks.windows(split, first_step)
        data = windows.flat_map(lambda window: steps(window.first, window.end, _from_window(order, window)))
    else:
        data = steps(first_step, _NEVER, _from_memory(order, split))
    options = tf.data.Options()
    options.autotune.enabled = False  # with it, destroying an iterator can block for half a minute (TF 2.21)
    data = data.prefetch(2).with_options(options)
    if here == 1:
        return iter(data)
    # Replica i of a step takes element i: the parts are made here, not by splitting batches of unknown size.
    return iter(strategy.distribute_datasets_from_function(lambda _: data))


def _from_memory(order: Order, split: AnySplit) -> _Take:
    def take(step: tf.Tensor, replica: tf.Tensor) -> tuple[Rows, tf.Tensor]:
        numbers, count = order.rows(step, replica)
        return split.take(numbers), count

    return take


def _from_window(order: Order, window: Window) -> _Take:
    in_memory = Split("window", *window.rows)

    def take(step: tf.Tensor, replica: tf.Tensor) -> tuple[Rows, tf.Tensor]:
        places, count = order.places(step, replica)
        return in_memory.take(places - window.place), count

    return take
