"""In which order examples are trained on: a function of seed and step, so that any step can be found again.

Nothing of an iterator has to be saved: training goes on from step n with the batches it would have had.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.dataset import AnySplit, Blocks, DiskSplit, Rows
from components.trainer.block_order import rows_at
from components.trainer.workers import Workers


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
        if self.blocks is not None:
            part = [step * self.replicas + replica]
            numbers = tf.numpy_function(lambda part: self.rows_of(part)[0], [part], tf.int64)
            return tf.ensure_shape(numbers, [None]), self.count(step, replica)
        low, high = self._span(step, replica, tf.minimum)
        start = tf.minimum(low, self.examples - 1)
        positions = tf.range(start, tf.maximum(high, start + 1))
        if self.seed is None:
            return positions, high - low
        seed = tf.stack([tf.constant(self.seed, tf.int64), step // self.steps_per_epoch])
        last = tf.constant(self.examples - 1, tf.int64)
        return tf.random.experimental.index_shuffle(positions, seed, last), high - low

    def count(self, step: tf.Tensor, replica: tf.Tensor) -> tf.Tensor:
        """How many rows of a replica count at a step, int64."""
        low, high = self._span(step, replica, tf.minimum)
        return high - low

    def rows_of(self, parts: NDArray[Any]) -> list[NDArray[Any]]:
        """In NumPy the row numbers of some parts of steps, of which that of replica r at step s is s * replicas + r."""
        return [self._rows_of_part(*divmod(part, self.replicas)) for part in parts.tolist()]

    def _rows_of_part(self, step: int, replica: int) -> NDArray[Any]:
        low, high = self._span(step, replica, min)
        start = min(low, self.examples - 1)
        positions = np.arange(start, max(high, start + 1))
        if self.seed is None or self.blocks is None:
            return positions
        epoch = step // self.steps_per_epoch
        return rows_at(positions, epoch, examples=self.examples, blocks=self.blocks, seed=self.seed)

    def _span(self, step: Any, replica: Any, least: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        """From where on and up to where a replica has the positions in the order of the step's epoch."""
        first = step % self.steps_per_epoch * self.batch_size
        size = least(self.examples - first, self.batch_size)
        return first + size * replica // self.replicas, first + size * (replica + 1) // self.replicas


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

    def batch(number: tf.Tensor, rows: Rows, count: tf.Tensor) -> Batch:
        if augment is not None:
            seed = tf.stack([order.seed, tf.cast(number, tf.int32)])
            features, labels = augment(rows.features, rows.labels, seed)
            rows = rows._replace(features=features, labels=labels)
        return Batch(rows, count)

    def gather(number: tf.Tensor) -> Batch:
        numbers, count = order.rows(number // order.replicas, number % order.replicas)
        return batch(number, split.take(numbers), count)

    def taken(number: tf.Tensor, rows: Rows) -> Batch:
        return batch(number, rows, order.count(number // order.replicas, number % order.replicas))

    options = tf.data.Options()
    options.autotune.enabled = False  # with it, destroying an iterator can block for half a minute (TF 2.21)
    workers = Workers(strategy)
    here = workers.local_replicas
    numbers = tf.data.Dataset.counter(first_step * here).map(
        lambda number: number // here * order.replicas + workers.index * here + number % here
    )
    if isinstance(split, DiskSplit):
        data = split.take_each(numbers, order.rows_of, taken, -(-order.batch_size // order.replicas))
    else:
        data = numbers.map(gather, num_parallel_calls=2)
    data = data.prefetch(2).with_options(options)
    if here == 1:
        return iter(data)
    # Replica i of a step takes element i: the parts are made here, not by splitting batches of unknown size.
    return iter(strategy.distribute_datasets_from_function(lambda _: data))
