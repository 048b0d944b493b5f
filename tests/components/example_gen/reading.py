"""Reads the examples that a component wrote, for comparison by content."""

from pathlib import Path

import tensorflow as tf

Row = tuple[tuple[str, tuple[object, ...]], ...]


def rows(examples_uri: str, split: str) -> list[Row]:
    """The examples of a split in order, as sorted (feature, values); a feature without a value is an absent one."""
    files = sorted(str(path) for path in (Path(examples_uri) / f"Split-{split}").iterdir())
    return [_row(record) for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()]


def _row(record: bytes) -> Row:
    features = tf.train.Example.FromString(record).features.feature
    values = {
        name: tuple(getattr(each, each.WhichOneof("kind") or "int64_list").value) for name, each in features.items()
    }
    return tuple((name, found) for name, found in sorted(values.items()) if found)
