"""A split on disk, of which a bounded part is in memory: features, labels and weights as fields of a block file."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.dataset.block_file import Array, BlockFile, write
from components.dataset.rows import Blocks, Rows
from components.dataset.split import AnySplit
from components.dataset.table import Table

_FEATURE, _LABEL, _WEIGHT = "feature ", "label", "weight"
_MOST_IN_WINDOW = 2**20  # rows
_MOST_AT_ONCE, _BYTES_AT_ONCE = 16, 2**18  # elements that are read in one call


class DiskSplit(AnySplit):
    """Reads what `write_split` has written.

    Args:
      name: The split's.
      folder: As it was written to.
      memory: Bytes of the part of the file that is in memory.
    """

    def __init__(self, name: str, folder: Path, memory: int):
        self.name = name
        self._file = BlockFile(folder, memory)
        self._table = Table.model_validate_json(self._file.note)
        whole, slots, rows = self._file.blocks, self._file.slots, self._file.block_rows
        # While a window is read, so that both are in memory, begins the next one, each with one block cut in two.
        window = whole if slots == whole else max(1, slots // 2 - 1)
        self.blocks = Blocks(rows, min(window, max(1, _MOST_IN_WINDOW // rows)))

    def __len__(self) -> int:
        return self._file.rows

    @property
    def bytes(self) -> int:
        """Of all rows, on disk."""
        return self._file.bytes

    def take(self, numbers: tf.Tensor) -> Rows:
        """Some rows, by number; a list of values is padded with 0 or "" to the longest of these rows."""
        return self._read(lambda given: given, numbers)

    def take_each(
        self,
        elements: tf.data.Dataset,
        choose: Callable[[Array], Sequence[Array]],
        then: Callable[[tf.Tensor, Rows], Any],
        most_rows: int,
    ) -> tf.data.Dataset:
        """Rows for each of many elements, several of which share what a call into Python costs.

        Args:
          elements: int64 scalars.
          choose: In NumPy, from some elements to the row numbers of each.
          then: In TensorFlow, from an element and its rows to an element of what is returned.
          most_rows: That an element has.
        """

        def take_one(element: tf.Tensor) -> Any:
            return then(element, self._read(lambda number: choose(number[None])[0], element))

        def read(some: Array) -> list[Array]:
            numbers = choose(some)
            lengths = np.array([len(each) for each in numbers])
            together = np.concatenate([np.resize(each, lengths.max()) for each in numbers])  # some rows twice
            found = self._table.to_numpy(self._file.take(together))
            return [lengths, *(each.reshape(len(some), -1, each.shape[1]) for each in found)]

        def read_some(some: tf.Tensor) -> tuple[tf.Tensor, ...]:
            lengths, *found = tf.numpy_function(read, [some], [tf.int64, *self._table.dtypes])
            return some, tf.ensure_shape(lengths, [None]), *(tf.ensure_shape(each, [None] * 3) for each in found)

        def take_from(element: tf.Tensor, length: tf.Tensor, *found: tf.Tensor) -> Any:
            return then(element, _rows(self._table.to_tensors([each[:length] for each in found])))

        at_once = min(_MOST_AT_ONCE, _BYTES_AT_ONCE * len(self) // (most_rows * self.bytes))
        if at_once < 2 or self._table.has_lists:
            return elements.map(take_one, num_parallel_calls=2)
        return elements.batch(at_once).map(read_some).prefetch(1).unbatch().map(take_from, num_parallel_calls=2)

    def _read(self, choose: Callable[[Array], Array], argument: tf.Tensor) -> Rows:
        """The rows whose numbers `choose` makes of the argument, in NumPy."""

        def read(argument: Array) -> list[Array]:
            return self._table.to_numpy(self._file.take(choose(argument)))

        found = tf.numpy_function(read, [tf.cast(argument, tf.int64)], self._table.dtypes)
        return _rows(self._table.to_tensors(found))

    def parts(self) -> Iterator[Rows]:
        """All rows, block by block."""
        for first in range(0, len(self), self._file.block_rows):
            yield self.take(tf.range(first, min(first + self._file.block_rows, len(self))))


def is_written(folder: Path) -> bool:
    """Whether a split was written to the folder, to its end."""
    return folder.exists()


def write_split(folder: Path, blocks: Iterable[Rows]) -> None:
    """Writes a split aside, then renames.

    Args:
      folder: Where there is nothing yet.
      blocks: Its rows, lists of values as RaggedTensors; equally many rows in each but the last, which may have fewer.

    Raises:
      InputError: the disk is full.
    """
    blocks = iter(blocks)
    first = next(blocks)
    table = Table.of(_named(first))
    arrays = (table.to_arrays(_named(block)) for block in itertools.chain([first], blocks))
    write(folder, table.fields, arrays, block_rows=int(first.labels.shape[0]), note=table.model_dump_json())


def _named(rows: Rows) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    features = {_FEATURE + name: column for name, column in rows.features.items()}
    weights = {} if isinstance(rows.weights, tuple) else {_WEIGHT: rows.weights}
    return {**features, _LABEL: rows.labels, **weights}


def _rows(named: dict[str, tf.Tensor]) -> Rows:
    features = {name.removeprefix(_FEATURE): named[name] for name in named if name.startswith(_FEATURE)}
    return Rows(features, named[_LABEL], named.get(_WEIGHT, ()))
