"""Rows of arrays in a file: written once, front to back, read by row number through a bounded part of it in memory.

It knows arrays, not features. A block has neighbouring rows, column by column at places that are the same in all
blocks, so that what is read needs no parsing; lists of values come behind, where the block says.
"""

import errno
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydantic
from numpy.typing import NDArray

from lineage.outcome import InputError

_FEWEST_SLOTS = 4
_START, _LENGTH = "start of ", "length of "  # a list, in values of its type from the beginning of its block

Array = NDArray[Any]


class Lists(NamedTuple):
    """A list of values for each row: the `values` of all, one list after another, and the `lengths` of the lists."""

    values: Array
    lengths: Array


Arrays = dict[str, Array | Lists]


class Field(pydantic.BaseModel):
    """A column: NumPy's name of its dtype, and the shape of a row; None where a row is a list of any length."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None


class _Index(pydantic.BaseModel):
    rows: int
    block_rows: int
    fields: list[Field]
    offsets: list[int]  # where each block begins, and where the last one ends
    note: str


class _Column(NamedTuple):
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    place: int  # in bytes from the beginning of a block
    size: int


class _Layout:
    """Where a block has its columns."""

    def __init__(self, fields: Sequence[Field], block_rows: int):
        self.lists = {field.name: np.dtype(field.dtype) for field in fields if field.shape is None}
        marks = [Field(name=mark + name, dtype="int64", shape=()) for name in self.lists for mark in (_START, _LENGTH)]
        self.columns: list[_Column] = []
        self.lists_place = 0
        for field in [*fields, *marks]:
            if field.shape is not None:
                dtype = np.dtype(field.dtype)
                size = block_rows * dtype.itemsize * int(np.prod(field.shape))
                self.columns.append(_Column(field.name, dtype, field.shape, self.lists_place, size))
                self.lists_place += _aligned(size)

    def pack(self, arrays: Arrays) -> Iterator[bytes]:
        """The bytes of a block."""
        fixed: dict[str, Any] = dict(arrays)
        place, behind = self.lists_place, []
        for name in self.lists:
            values, lengths = fixed.pop(name)
            fixed[_START + name] = place // values.itemsize + np.cumsum(lengths) - lengths
            fixed[_LENGTH + name] = lengths
            behind.append(values.tobytes().ljust(_aligned(values.nbytes), b"\0"))
            place += len(behind[-1])
        for column in self.columns:
            yield fixed[column.name].astype(column.dtype, copy=False).tobytes().ljust(_aligned(column.size), b"\0")
        yield from behind

    def views(self, blocks: Array) -> dict[str, Array]:
        """The columns `[blocks, rows, ...]` in blocks `[blocks, bytes]`, lists as their starts and lengths."""
        return {
            name: blocks[:, place : place + size].view(dtype).reshape(len(blocks), -1, *shape)
            for name, dtype, shape, place, size in self.columns
        }


def write(folder: Path, fields: Sequence[Field], blocks: Iterable[Arrays], block_rows: int, note: str) -> None:
    """Writes the blocks aside, then renames to `folder`.

    Args:
      folder: Where there is nothing yet.
      fields: The columns.
      blocks: Arrays `[rows, ...]` or Lists by column, of `block_rows` rows but in the last block, which may have fewer.
      block_rows: Rows of a block.
      note: What a reader is to know.

    Raises:
      InputError: the disk is full.
    """
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    layout, rows, offsets = _Layout(fields, block_rows), 0, [0]
    try:
        with (partial / "blocks").open("wb") as file:
            for arrays in blocks:
                file.writelines(layout.pack(arrays))
                offsets.append(file.tell())
                rows += _rows(arrays)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        shutil.rmtree(partial)
        raise InputError(
            f"{folder.parent} has no room for the decoded examples: the disk is full after {offsets[-1]:,} bytes."
        ) from None
    index = _Index(rows=rows, block_rows=block_rows, fields=[*fields], offsets=offsets, note=note)
    (partial / "index.json").write_text(index.model_dump_json())
    partial.rename(folder)


class BlockFile:
    """Reads what `write` has written.

    Args:
      folder: As it was written to.
      memory: Bytes for the blocks that are held; at least four blocks are.
    """

    def __init__(self, folder: Path, memory: int):
        index = _Index.model_validate_json((folder / "index.json").read_text())
        self._file = (folder / "blocks").open("rb", buffering=0)
        self._offsets = index.offsets
        self.rows, self.block_rows, self.fields = index.rows, index.block_rows, index.fields
        self.note, self.bytes = index.note, index.offsets[-1]
        self.blocks = len(self._offsets) - 1
        size = _aligned(int(np.diff(self._offsets).max()))
        self.slots = min(self.blocks, max(_FEWEST_SLOTS, memory // size))
        self._slots = np.empty((self.slots, size), np.uint8)  # takes memory once it is written to
        layout = _Layout(self.fields, self.block_rows)
        self._columns = layout.views(self._slots)
        self._values = {name: self._slots.reshape(-1).view(dtype) for name, dtype in layout.lists.items()}
        self._slot_of = np.full(self.blocks, -1)
        self._block_in = np.full(self.slots, -1)
        self._next = 0
        self._lock = threading.Lock()

    def take(self, numbers: Array) -> Arrays:
        """The rows of these numbers, in this order, by column."""
        blocks, rows = np.divmod(numbers, self.block_rows)
        wanted = np.unique(blocks)
        if len(wanted) > self.slots:
            halves = [self.take(half) for half in np.array_split(numbers, 2)]
            return {field.name: _joined([half[field.name] for half in halves]) for field in self.fields}
        with self._lock:
            self._hold(wanted)
            slots = self._slot_of[blocks]
            return {field.name: self._gather(field, slots, rows) for field in self.fields}

    def _hold(self, wanted: Array) -> None:
        """Reads the blocks that are not in a slot, in the place of those that have been there longest."""
        missing = wanted[self._slot_of[wanted] < 0].tolist()
        for block in missing:
            os.posix_fadvise(self._file.fileno(), *self._span(block), os.POSIX_FADV_WILLNEED)
        needed = set(wanted.tolist())
        for block in missing:
            while self._block_in[self._next] in needed:
                self._next = (self._next + 1) % self.slots
            slot = self._next
            if self._block_in[slot] >= 0:
                self._slot_of[self._block_in[slot]] = self._block_in[slot] = -1
            self._read(block, slot)
            self._slot_of[block], self._block_in[slot] = slot, block
            self._next = (slot + 1) % self.slots

    def _read(self, block: int, slot: int) -> None:
        place, size = self._span(block)
        memory = memoryview(self._slots[slot])[:size]
        while memory:
            count = os.preadv(self._file.fileno(), [memory], place)
            if not count:
                raise OSError(f"{self._file.name} ends before byte {place}, which it had when it was written.")
            place, memory = place + count, memory[count:]

    def _span(self, block: int) -> tuple[int, int]:
        return self._offsets[block], self._offsets[block + 1] - self._offsets[block]

    def _gather(self, field: Field, slots: Array, rows: Array) -> Array | Lists:
        if field.shape is not None:
            return self._columns[field.name][slots, rows]
        values = self._values[field.name]
        starts, lengths = (self._columns[mark + field.name][slots, rows] for mark in (_START, _LENGTH))
        first = starts + slots * (self._slots.shape[1] // values.itemsize)
        ends = np.cumsum(lengths)
        places = np.repeat(first - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
        return Lists(values[places], lengths)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _rows(arrays: Arrays) -> int:
    column = next(iter(arrays.values()))
    return len(column.lengths if isinstance(column, Lists) else column)


def _joined(parts: Sequence[Array | Lists]) -> Array | Lists:
    if isinstance(parts[0], Lists):
        return Lists(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return np.concatenate(parts)
