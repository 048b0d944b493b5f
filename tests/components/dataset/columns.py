"""Rows of every kind that a split can have, for the tests that hold them in one place or another."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.dataset import DiskSplit, Rows, Split
from components.dataset.disk import write_split

_TEXTS = np.array([b"", b"a", b"ends in zero\0", b"\0", "é".encode(), b"long" * 20], object)


def every_kind(rows: int, seed: int = 0) -> Split:
    """Numbers, images, texts and lists of numbers and texts, some of them empty; labels and weights."""
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 6, rows)
    values = int(lengths.sum())

    def lists(column: np.ndarray) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_row_lengths(tf.constant(column.tolist(), _dtype(column)), lengths)

    features = {
        "pixels": tf.constant(random.normal(size=(rows, 2, 3)), tf.float32),
        "count": tf.constant(random.integers(-9, 9, (rows, 1))),
        "number": tf.constant(random.integers(0, 9, rows)),
        "image": tf.constant(random.integers(0, 256, (rows, 4, 5, 3)), tf.uint8),
        "words": tf.constant(random.choice(_TEXTS, (rows, 2)).tolist()),
        "ids": lists(random.integers(1, 99, values)),
        "sizes": lists(random.normal(size=values).astype(np.float32)),
        "tags": lists(random.choice(_TEXTS, values)),
    }
    weights = tf.constant(random.random(rows), tf.float32)
    return Split("train", features, tf.constant(random.integers(0, 3, (rows, 2))), weights)


def blocks(split: Split, rows: int) -> Iterator[Rows]:
    """The split's rows as they are read: in their order, `rows` at a time."""
    everything = Rows(split.features, split.labels, split.weights)
    for first in range(0, len(split), rows):
        yield tf.nest.map_structure(lambda column: column[first : first + rows], everything)  # noqa: B023


def on_disk(split: Split, folder: Path, *, block_rows: int, memory: int) -> DiskSplit:
    """The same rows in a file."""
    write_split(folder, blocks(split, block_rows))
    return DiskSplit(split.name, folder, memory)


def assert_same(one: Rows, other: Rows) -> None:
    """Every column the same in dtype, shape and values."""
    tf.nest.assert_same_structure(one, other)
    for column, same in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
        assert (column.dtype, column.shape) == (same.dtype, same.shape)
        np.testing.assert_array_equal(column, same)


def _dtype(column: np.ndarray) -> tf.DType:
    return tf.string if column.dtype == object else tf.as_dtype(column.dtype)
