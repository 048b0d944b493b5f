"""Rows by number: the interface of a split, and a split that is in memory as tensors."""

import abc
import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from components.dataset.decoding import padded
from lineage.outcome import InputError


class Rows(NamedTuple):
    """Some examples: features `[m, ...]` by name, labels `[m]`, or `[m, k]` where each row has k, weights `[m]`.

    Weights are float32, or `()` where all weigh 1.
    """

    features: dict[str, tf.Tensor]
    labels: tf.Tensor
    weights: tf.Tensor | tuple[()] = ()

    @property
    def sample_weight(self) -> tf.Tensor | None:
        """The weights as Keras takes them."""
        return None if isinstance(self.weights, tuple) else self.weights


class Blocks(NamedTuple):
    """What is read at a time: blocks of `rows` neighbouring rows, and about `window` of them in memory."""

    rows: int
    window: int


class AnySplit(abc.ABC):
    """A split by the name `name`, wherever it is held.

    Attributes:
      blocks: How it is read; None where rows can be had in any order at the same price.
    """

    name: str
    blocks: Blocks | None

    @abc.abstractmethod
    def __len__(self) -> int:
        """Rows."""

    @abc.abstractmethod
    def take(self, numbers: tf.Tensor) -> Rows:
        """Some rows, by number; a list of values is padded with 0 or "" to the longest of these rows."""

    @abc.abstractmethod
    def parts(self) -> Iterator[Rows]:
        """All rows in their order, in parts that fit into memory."""

    def check_finite(self) -> None:
        """Raises InputError, with the column and the count, where a feature or a label is NaN or infinite."""
        counts: dict[str, int] = {}
        for part in self.parts():
            for name, column in [*part.features.items(), ("the label", part.labels)]:
                if column.dtype.is_floating:
                    count = int(tf.math.count_nonzero(~tf.math.is_finite(column)))
                    counts[name] = counts.get(name, 0) + count
        for name, count in counts.items():
            if count:
                raise InputError(
                    f"{name} has {count} values that are NaN or infinite in the split {self.name!r}; expected "
                    "numbers. Correct the data, or fill them in preprocessing_fn."
                )


@dataclasses.dataclass(frozen=True)
class Split(AnySplit):
    """A split in memory: features `[n, ...]` by name, labels `[n]` or `[n, k]`, and weights `[n]` or `()`.

    A feature of which rows have different numbers of values is a RaggedTensor.
    """

    name: str
    features: dict[str, tf.Tensor | tf.RaggedTensor]
    labels: tf.Tensor
    weights: tf.Tensor | tuple[()] = ()
    blocks = None

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def take(self, numbers: tf.Tensor) -> Rows:
        """Some rows, by number; a list of values is padded with 0 or "" to the longest of these rows."""
        everything = Rows(self.features, self.labels, self.weights)
        return tf.nest.map_structure(lambda column: padded(tf.gather(column, numbers)), everything)

    def parts(self) -> Iterator[Rows]:
        """All rows, at once."""
        yield tf.nest.map_structure(padded, Rows(self.features, self.labels, self.weights))
