"""A split on disk, of which a bounded part is in memory: features, labels and weights as columns of a file."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from components.dataset.block_file import Array, Arrays, BlockFile, Field, Lists, write
from components.dataset.decoding import padded
from components.dataset.split import AnySplit, Blocks, Rows

_FEATURE, _LABEL, _WEIGHT = "feature ", "label", "weight"
_SIZES = "sizes of "  # strings, in bytes; their text is in a column of its own


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
        self._columns = _columns(self._file.fields)
        whole, slots = self._file.blocks, self._file.slots
        # While a window is read, so that both are in memory, begins the next one, each with one block cut in two.
        self.blocks = Blocks(self._file.block_rows, whole if slots == whole else max(1, slots // 2 - 1))

    def __len__(self) -> int:
        return self._file.rows

    @property
    def bytes(self) -> int:
        """Of all rows, on disk."""
        return self._file.bytes

    def take(self, numbers: tf.Tensor) -> Rows:
        """Some rows, by number; a list of values is padded with 0 or "" to the longest of these rows."""
        dtypes = [dtype for column in self._columns for dtype in column.dtypes]
        found = iter(tf.numpy_function(self._take, [tf.cast(numbers, tf.int64)], dtypes))
        return _rows({column.name: column.to_tensor(*(next(found) for _ in column.dtypes)) for column in self._columns})

    def parts(self) -> Iterator[Rows]:
        """All rows, block by block."""
        for first in range(0, len(self), self._file.block_rows):
            yield self.take(tf.range(first, min(first + self._file.block_rows, len(self)), dtype=tf.int64))

    def _take(self, numbers: Array) -> list[Any]:
        arrays = self._file.take(numbers)
        return [value for column in self._columns for value in column.to_numpy(arrays)]


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
    columns = [_Column.of(name, column) for name, column in _named(first).items()]

    def arrays(block: Rows) -> Arrays:
        named = _named(block)
        return {name: array for column in columns for name, array in column.to_arrays(named[column.name]).items()}

    fields = [field for column in columns for field in column.fields]
    write(folder, fields, map(arrays, itertools.chain([first], blocks)), int(first.labels.shape[0]))


class _Column(NamedTuple):
    """A column of tensors; `shape` is that of a row, None where rows are lists of any length."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None

    @classmethod
    def of(cls, name: str, column: tf.Tensor | tf.RaggedTensor) -> "_Column":
        return cls(name, column.dtype.name, None if isinstance(column, tf.RaggedTensor) else tuple(column.shape[1:]))

    @property
    def fields(self) -> list[Field]:
        if self.dtype != "string":
            return [Field(**self._asdict())]
        sizes = Field(name=_SIZES + self.name, dtype="int64", shape=self.shape)
        return [Field(name=self.name, dtype="uint8", shape=None), sizes]

    @property
    def dtypes(self) -> list[tf.DType]:
        """Of what `to_numpy` gives: the values, and where they are lists the lengths of these."""
        return [tf.as_dtype(self.dtype), *([] if self.shape is not None else [tf.int64])]

    def to_arrays(self, column: tf.Tensor | tf.RaggedTensor) -> Arrays:
        if isinstance(column, tf.RaggedTensor):
            values, lengths = column.values.numpy(), column.row_lengths().numpy()
        else:
            values, lengths = column.numpy(), None
        if self.dtype != "string":
            return {self.name: values if lengths is None else Lists(values, lengths)}
        sizes = np.fromiter(map(len, values.flat), np.int64, values.size).reshape(values.shape)
        text = np.frombuffer(b"".join(values.flat), np.uint8)
        if lengths is None:
            return {self.name: Lists(text, sizes.reshape(len(sizes), -1).sum(axis=1)), _SIZES + self.name: sizes}
        of_row = np.diff(_ends(sizes)[_ends(lengths)])
        return {self.name: Lists(text, of_row), _SIZES + self.name: Lists(sizes, lengths)}

    def to_numpy(self, arrays: Arrays) -> list[Any]:
        found, sizes = arrays[self.name], arrays.get(_SIZES + self.name)
        if sizes is None:
            return [*found] if isinstance(found, Lists) else [found]
        assert isinstance(found, Lists)
        if isinstance(sizes, Lists):
            return [_strings(found.values, sizes.values), sizes.lengths]
        return [_strings(found.values, sizes)]

    def to_tensor(self, values: tf.Tensor, *lengths: tf.Tensor) -> tf.Tensor:
        if self.shape is not None:
            return tf.ensure_shape(values, [None, *self.shape])
        values, lengths = (tf.ensure_shape(each, [None]) for each in (values, *lengths))
        return padded(tf.RaggedTensor.from_row_lengths(values, lengths, validate=False))


def _columns(fields: list[Field]) -> list[_Column]:
    shapes = {field.name: field.shape for field in fields}
    text = {name.removeprefix(_SIZES): shape for name, shape in shapes.items() if name.startswith(_SIZES)}
    return [
        _Column(field.name, "string", text[field.name]) if field.name in text else _Column(**field.model_dump())
        for field in fields
        if not field.name.startswith(_SIZES)
    ]


def _named(rows: Rows) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    features = {_FEATURE + name: column for name, column in rows.features.items()}
    weights = {} if isinstance(rows.weights, tuple) else {_WEIGHT: rows.weights}
    return {**features, _LABEL: rows.labels, **weights}


def _rows(named: dict[str, tf.Tensor]) -> Rows:
    features = {name.removeprefix(_FEATURE): named[name] for name in named if name.startswith(_FEATURE)}
    return Rows(features, named[_LABEL], named.get(_WEIGHT, ()))


def _ends(lengths: Array) -> Array:
    return np.concatenate([[0], np.cumsum(lengths)])


def _strings(text: Array, sizes: Array) -> Array:
    joined = text.tobytes()
    strings = np.empty(sizes.size, object)
    strings[:] = [joined[start:end] for start, end in itertools.pairwise(_ends(sizes).tolist())]
    return strings.reshape(sizes.shape)
