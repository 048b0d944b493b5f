"""Rows by number: the interface of a split, and a split that is in memory as tensors."""

import abc
import dataclasses
import functools
from collections.abc import Iterator

import tensorflow as tf

from components.dataset.decoding import padded
from components.dataset.facts import Facts
from components.dataset.rows import Blocks, Rows
from lineage.outcome import InputError

_PART = 4096  # rows


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

    @functools.cached_property
    def facts(self) -> Facts:
        """What a look at every row tells; looked once."""
        facts = Facts()
        for part in self.parts():
            facts.add(part)
        return facts

    def check_finite(self) -> None:
        """Raises InputError, with the column and the count, where a feature or a label is NaN or infinite."""
        for name, count in self.facts.not_finite.items():
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
        """All rows in their order, a few thousand at a time."""
        everything = Rows(self.features, self.labels, self.weights)
        for first in range(0, len(self), _PART):
            yield tf.nest.map_structure(lambda column: padded(column[first : first + _PART]), everything)  # noqa: B023
