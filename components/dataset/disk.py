"""A split on disk: blocks of neighbouring decoded rows, a file each, which TensorFlow reads without Python.

Without, because an iterator that is calling Python cannot be destroyed: each of the two waits for the other's lock.
"""

import errno
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pydantic
import tensorflow as tf

from components.dataset.rows import Blocks, Rows
from components.dataset.split import AnySplit, Split
from lineage.outcome import InputError

_INDEX = "index.json"
_FEATURE, _LABEL, _WEIGHT = "feature ", "label", "weight"
_COPIES = 3  # of a window in memory: one is read from while the next is put together from its blocks

Values: TypeAlias = tf.Tensor | tf.RaggedTensor


class _Column(NamedTuple):
    """A column; `shape` is that of a row, None where rows are lists of any length."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None


class _Index(pydantic.BaseModel):
    rows: int
    block_rows: int
    columns: list[_Column]
    sizes: list[int]  # of the blocks' files, in bytes


class DiskSplit(AnySplit):
    """Reads what `write_split` has written.

    Args:
      name: The split's.
      folder: As it was written to.
      memory: Bytes of memory for the blocks that are read at a time.
    """

    blocks: Blocks

    def __init__(self, name: str, folder: Path, memory: int):
        index = _read_index(folder)
        self.name, self._folder = name, folder
        self._rows, self._columns, self.bytes = index.rows, index.columns, sum(index.sizes)
        window = max(1, memory // (_COPIES * max(index.sizes)))
        self.blocks = Blocks(index.block_rows, min(window, len(index.sizes)))

    def __len__(self) -> int:
        return self._rows

    def read(self, blocks: tf.Tensor) -> Rows:
        """The rows of some blocks, int64 `[k]`, one block after another; lists of values as RaggedTensors."""
        kinds = [kind for column in self._columns for kind in _tensors(column)]
        count = tf.size(blocks)
        arrays = [tf.TensorArray(spec.dtype, count, infer_shape=False, element_shape=spec.shape) for spec in kinds]
        for place in tf.range(count):
            block = tf.io.parse_tensor(tf.io.read_file(self._file(blocks[place])), tf.string)
            tensors = [tf.io.parse_tensor(block[number], spec.dtype) for number, spec in enumerate(kinds)]
            arrays = [array.write(place, tensor) for array, tensor in zip(arrays, tensors, strict=True)]
        return self._rows_of([array.concat() for array in arrays])

    def take(self, numbers: tf.Tensor) -> Rows:
        """Some rows, by number; a list of values is padded with 0 or "" to the longest of these rows.

        All blocks that have one of them are read at once.
        """
        numbers = tf.cast(numbers, tf.int64)
        blocks, which = tf.unique(numbers // self.blocks.rows)
        sizes = tf.minimum(tf.constant(self.blocks.rows, tf.int64), self._rows - blocks * self.blocks.rows)
        places = tf.gather(tf.cumsum(sizes, exclusive=True), which) + numbers % self.blocks.rows
        return Split(self.name, *self.read(blocks)).take(places)

    def parts(self) -> Iterator[Rows]:
        """All rows, block by block."""
        for first in range(0, self._rows, self.blocks.rows):
            yield self.take(tf.range(first, min(first + self.blocks.rows, self._rows)))

    def _file(self, block: tf.Tensor) -> tf.Tensor:
        return tf.strings.join([f"{self._folder}/", tf.strings.as_string(block)])

    def _rows_of(self, tensors: list[tf.Tensor]) -> Rows:
        left, named = iter(tensors), {}
        for column in self._columns:
            values = next(left)
            if column.shape is None:
                values = tf.RaggedTensor.from_row_lengths(values, next(left), validate=False)
            named[column.name] = values
        features = {name.removeprefix(_FEATURE): named[name] for name in named if name.startswith(_FEATURE)}
        return Rows(features, named[_LABEL], named.get(_WEIGHT, ()))


def is_written(folder: Path) -> bool:
    """Whether a split was written to the folder and is there, every block with its last byte."""
    if not folder.exists():
        return False
    sizes = _read_index(folder).sizes
    files = [folder / str(number) for number in range(len(sizes))]
    return [file.stat().st_size for file in files if file.exists()] == sizes


def write_split(folder: Path, blocks: Iterable[Rows]) -> None:
    """Writes a split aside, then renames.

    Args:
      folder: Where there is nothing yet, or what `is_written` does not take for a split.
      blocks: Its rows, lists of values as RaggedTensors; equally many rows in each but the last, which may have fewer.

    Raises:
      InputError: the disk is full.
    """
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    counts: list[int] = []
    sizes: list[int] = []
    columns: list[_Column] = []
    for number, block in enumerate(blocks):
        named = _named(block)
        columns = columns or [_column_of(name, values) for name, values in named.items()]
        counts.append(int(block.labels.shape[0]))
        sizes.append(_write(partial / str(number), _serialized(named)))
    index = _Index(rows=sum(counts), block_rows=counts[0], columns=columns, sizes=sizes)
    _write(partial / _INDEX, index.model_dump_json().encode())
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _write(path: Path, content: bytes) -> int:
    try:
        return path.write_bytes(content)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        shutil.rmtree(path.parent)
        raise InputError(f"{path.parent.parent} has no room for the decoded examples: the disk is full.") from None


def _read_index(folder: Path) -> _Index:
    return _Index.model_validate_json((folder / _INDEX).read_text())


def _named(rows: Rows) -> dict[str, Values]:
    features = {_FEATURE + name: values for name, values in rows.features.items()}
    weights = {} if isinstance(rows.weights, tuple) else {_WEIGHT: rows.weights}
    return {**features, _LABEL: rows.labels, **weights}


def _column_of(name: str, values: Values) -> _Column:
    return _Column(name, values.dtype.name, None if isinstance(values, tf.RaggedTensor) else tuple(values.shape[1:]))


def _serialized(named: dict[str, Values]) -> bytes:
    tensors: list[tf.Tensor] = []
    for values in named.values():
        tensors += [values.values, values.row_lengths()] if isinstance(values, tf.RaggedTensor) else [values]
    return tf.io.serialize_tensor(tf.stack([tf.io.serialize_tensor(tensor) for tensor in tensors])).numpy()


def _tensors(column: _Column) -> list[tf.TensorSpec]:
    """What of a column is in a block's file: its values, and of lists their lengths."""
    if column.shape is not None:
        return [tf.TensorSpec([None, *column.shape], column.dtype)]
    return [tf.TensorSpec([None], column.dtype), tf.TensorSpec([None], tf.int64)]
