"""From serialized tf.Examples to the tensors that a model takes: the same in a training and in an exported model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact

from components.dataset.spec import FeatureSpec, Image


def records(examples: list[Artifact], split: str) -> tf.data.TFRecordDataset:
    """The serialized tf.Examples of a split, in the order of its files."""
    folders = artifact_utils.get_split_uris(examples, split)
    files = [str(file) for folder in folders for file in sorted(Path(folder).iterdir())]
    return tf.data.TFRecordDataset(files, compression_type="GZIP")


def decode(parsed: Mapping[str, Any], spec: FeatureSpec) -> dict[str, tf.Tensor | tf.RaggedTensor]:
    """What `tf.io.parse_example`, or a Transform, gave for these features: images as uint8, lists of values as ragged.

    Raises:
      tf.errors.InvalidArgumentError: when run: a string is not an image, or not of the size that the spec says.
    """
    return {name: _decode(values, spec[name]) for name, values in parsed.items()}


def padded(column: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    """Dense: `[m, longest]` of a ragged column, short rows filled up with 0 or "" and at least one value wide."""
    if not isinstance(column, tf.RaggedTensor):
        return column
    longest = tf.maximum(column.bounding_shape(axis=1, out_type=tf.int64), 1)
    return column.to_tensor(shape=tf.stack([tf.constant(-1, tf.int64), longest]))


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """One png, jpeg, bmp or gif (its first frame) as uint8 [height, width, channels]."""
    return tf.io.decode_image(encoded, expand_animations=False)


def _decode(values: Any, feature: Any) -> tf.Tensor | tf.RaggedTensor:
    if isinstance(feature, Image):
        decoded = tf.TensorSpec(feature.shape, tf.uint8)
        return tf.map_fn(decode_image, tf.reshape(values, [-1]), fn_output_signature=decoded)
    if isinstance(values, tf.SparseTensor):  # without the gaps it may have, as an example holds its values
        return tf.RaggedTensor.from_value_rowids(values.values, values.indices[:, 0], nrows=values.dense_shape[0])
    return values
