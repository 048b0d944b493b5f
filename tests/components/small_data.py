"""Small real inputs for the tests of what trains, evaluates and quantizes: Examples, Schema and Model artifacts.

Not for tests of ExampleGen or of the serving check, which write their own.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types.standard_artifacts import Examples, Model, Schema

from components import dataset
from components.trainer.export import export
from components.trainer.model import call
from tests.tfx_harness import Given

Columns = Mapping[str, Sequence[Any] | np.ndarray]  # an entry a row: a number, a string, an array; None where missing
SPLITS = ("train", "eval", "test")
LABEL = "label"


def serialized(columns: Columns) -> list[bytes]:
    """One tf.Example a row: integers as int64, other numbers as float, strings as UTF-8, bytes as they are."""
    rows = zip(*columns.values(), strict=True)
    return [_example(dict(zip(columns, row, strict=True))) for row in rows]


def _example(row: Mapping[str, Any]) -> bytes:
    features = {name: _feature(value) for name, value in row.items() if value is not None}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    values = np.ravel(value)
    if values.dtype.kind in "iu":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if values.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[str(value).encode() for value in values]))


def artifact(given: Given) -> Examples:
    """Given Examples as an executor gets them."""
    found = Examples()
    found.uri, found.split_names = given.uri, given.properties["split_names"]
    return found


def examples(folder: Path, splits: Mapping[str, Columns]) -> Given:
    """An Examples artifact; each split is three files, of which the last has no rows."""
    for split in SPLITS:
        rows = serialized(splits[split])
        (folder / f"Split-{split}").mkdir(parents=True)
        for shard, part in enumerate((rows[: len(rows) // 2], rows[len(rows) // 2 :], [])):
            path = folder / f"Split-{split}" / f"data_tfrecord-{shard:05d}-of-00003.gz"
            with tf.io.TFRecordWriter(str(path), options="GZIP") as writer:
                for row in part:
                    writer.write(row)
    properties = {"split_names": json.dumps(SPLITS)}
    return Given(Examples, str(folder), properties, {"payload_format": "FORMAT_TF_EXAMPLE"})


def fixed(name: str, kind: str, *shape: int) -> str:
    """A feature of the schema that each example has, in this shape; `kind` is FLOAT, INT or BYTES."""
    sizes = " ".join(f"dim {{ size: {size} }}" for size in shape)
    return f'feature {{ name: "{name}" type: {kind} presence {{ min_fraction: 1 }} shape {{ {sizes} }} }}\n'


def optional(name: str, kind: str) -> str:
    """A feature of the schema that has a value in some examples and none in others."""
    return f'feature {{ name: "{name}" type: {kind} value_count {{ min: 1 max: 1 }} presence {{ min_count: 0 }} }}\n'


def several(name: str, kind: str) -> str:
    """A feature of the schema of which examples have any number of values."""
    return f'feature {{ name: "{name}" type: {kind} presence {{ min_count: 0 }} }}\n'


def image(name: str) -> str:
    """A feature of the schema that is an encoded image."""
    return fixed(name, "BYTES", 1).replace("shape", "image_domain {} shape")


def schema(folder: Path, *features: str) -> Given:
    """A Schema artifact."""
    folder.mkdir(parents=True)
    (folder / "schema.pbtxt").write_text("".join(features))
    return Given(Schema, str(folder))


def model(folder: Path, built: keras.Model, *features: str) -> Given:
    """A Model artifact of a model that takes the raw features, but for the label, without a Transform."""
    spec = dict(dataset.raw_spec(text_format.Parse("".join(features), schema_pb2.Schema())))
    spec.pop(LABEL, None)
    inputs = dataset.input_specs(spec, LABEL)
    shapes = {name: [1, *(size or 1 for size in spec.shape[1:])] for name, spec in inputs.items()}
    call(built, {name: tf.zeros(shapes[name], inputs[name].dtype) for name in inputs})  # builds it
    export(built, str(folder / "Format-Serving"), inputs=inputs, spec=spec, raw_spec=spec, transform=None)
    return Given(Model, str(folder))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, by NumPy."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """The logistic function, by NumPy."""
    return 1 / (1 + np.exp(-logits))
