"""Named columns of tensors as the fields of a block file, and back.

Numbers of one type lie side by side in one field, so that a row costs about the same however many columns it has. Texts
are two lists: how many bytes each has, and the bytes.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pydantic
import tensorflow as tf

from components.dataset.block_file import Array, Field, Lists
from components.dataset.decoding import padded

_SIZES = "sizes of "  # texts, in bytes


class Column(pydantic.BaseModel):
    """A column: TensorFlow's name of its dtype, and the shape of a row; None where rows are lists of any length."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None

    @classmethod
    def of(cls, name: str, values: tf.Tensor | tf.RaggedTensor) -> "Column":
        """The column that values `[m, ...]` are, or a RaggedTensor, where rows are lists."""
        shape = None if isinstance(values, tf.RaggedTensor) else tuple(values.shape[1:])
        return cls(name=name, dtype=values.dtype.name, shape=shape)

    @property
    def is_text(self) -> bool:
        """Whether it holds strings."""
        return self.dtype == "string"

    @property
    def size(self) -> int:
        """Values of a row of fixed shape."""
        return int(np.prod(self.shape or ()))


class Table(pydantic.BaseModel):
    """The columns of some rows."""

    columns: list[Column]

    @classmethod
    def of(cls, named: Mapping[str, tf.Tensor | tf.RaggedTensor]) -> "Table":
        """The columns that these are."""
        return cls(columns=[Column.of(name, values) for name, values in named.items()])

    @property
    def fields(self) -> list[Field]:
        """The fields of the file; that of numbers has the name of their dtype."""
        found = []
        for dtype, columns in self._numbers.items():
            found.append(Field(name=dtype, dtype=dtype, shape=(sum(column.size for column in columns),)))
        for column in self._lists:
            if column.is_text:
                found.append(Field(name=_SIZES + column.name, dtype="int64", shape=None))
            found.append(Field(name=column.name, dtype="uint8" if column.is_text else column.dtype, shape=None))
        return found

    def to_arrays(self, named: Mapping[str, tf.Tensor | tf.RaggedTensor]) -> dict[str, Any]:
        """The fields of some rows."""
        arrays: dict[str, Any] = {}
        for dtype, columns in self._numbers.items():
            some = [named[column.name].numpy().reshape(-1, column.size) for column in columns]
            arrays[dtype] = np.concatenate(some, axis=1)
        for column in self._lists:
            lists = _to_lists(named[column.name])
            if column.is_text:
                arrays[_SIZES + column.name], lists = _to_bytes(lists)
            arrays[column.name] = lists
        return arrays

    @property
    def has_lists(self) -> bool:
        """Whether not all is numbers of fixed shape."""
        return bool(self._lists)

    @property
    def dtypes(self) -> list[tf.DType]:
        """Of what `to_numpy` gives."""
        lists = [dtype for column in self._lists for dtype in (column.dtype, "int64")]
        return [tf.as_dtype(dtype) for dtype in [*self._numbers, *lists]]

    def to_numpy(self, arrays: dict[str, Any]) -> list[Any]:
        """From fields to what enters TensorFlow: the numbers by dtype [m, n], then of each list values and lengths."""
        found: list[Any] = [arrays[dtype] for dtype in self._numbers]
        for column in self._lists:
            lists = arrays[column.name]
            if column.is_text:
                sizes = arrays[_SIZES + column.name]
                lists = Lists(_to_text(lists.values, sizes.values), sizes.lengths)
            found.extend(lists)
        return found

    def to_tensors(self, found: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """From what has entered to columns `[m, ...]`, lists padded."""
        left, tensors = iter(found), {}
        for columns in self._numbers.values():
            sizes = [column.size for column in columns]
            parts = tf.split(tf.ensure_shape(next(left), [None, sum(sizes)]), sizes, axis=1)
            for column, part in zip(columns, parts, strict=True):
                tensors[column.name] = tf.reshape(part, [-1, *(column.shape or ())])
        for column in self._lists:
            values, lengths = (tf.ensure_shape(next(left), [None]) for _ in range(2))
            if column.shape is None:
                tensors[column.name] = padded(tf.RaggedTensor.from_row_lengths(values, lengths, validate=False))
            else:
                tensors[column.name] = tf.reshape(values, [-1, *column.shape])
        return {column.name: tensors[column.name] for column in self.columns}

    @functools.cached_property
    def _numbers(self) -> dict[str, list[Column]]:
        found: dict[str, list[Column]] = {}
        for column in self.columns:
            if column.shape is not None and not column.is_text:
                found.setdefault(column.dtype, []).append(column)
        return found

    @functools.cached_property
    def _lists(self) -> list[Column]:
        return [column for column in self.columns if column.shape is None or column.is_text]


def _to_lists(column: tf.Tensor | tf.RaggedTensor) -> Lists:
    if isinstance(column, tf.RaggedTensor):
        return Lists(column.values.numpy(), column.row_lengths().numpy())
    values = column.numpy()
    return Lists(values.reshape(-1), np.full(len(values), int(np.prod(values.shape[1:]))))


def _to_bytes(texts: Lists) -> tuple[Lists, Lists]:
    """The sizes of lists of texts, and the bytes of each list."""
    sizes = np.fromiter(map(len, texts.values), np.int64, len(texts.values))
    of_rows = np.diff(_ends(sizes)[_ends(texts.lengths)])
    return Lists(sizes, texts.lengths), Lists(np.frombuffer(b"".join(texts.values), np.uint8), of_rows)


def _to_text(joined: Array, sizes: Array) -> Array:
    text, ends = joined.tobytes(), _ends(sizes).tolist()
    found = np.empty(len(sizes), object)
    found[:] = [text[end - size : end] for end, size in zip(ends[1:], sizes.tolist(), strict=True)]
    return found


def _ends(lengths: Array) -> Array:
    return np.concatenate([[0], np.cumsum(lengths)])
