"""A split of an Examples artifact as tensors in memory, and batches of it: what the Trainer and Quantizer read.

Records are parsed in large batches and decoded once; an epoch gathers rows by index, so its step rate is that of
arrays in memory.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.utils import io_utils

from lineage.outcome import InputError

FeatureSpec = Mapping[str, tf.io.FixedLenFeature | tf.io.VarLenFeature]
_PARSE_BATCH = 4096


@dataclasses.dataclass(frozen=True)
class Split:
    """Features `[n, ...]` by name and labels `[n]` of one split."""

    features: dict[str, tf.Tensor]
    labels: tf.Tensor

    def __len__(self) -> int:
        return int(self.labels.shape[0])


def read_schema(artifact: Artifact) -> schema_pb2.Schema:
    """The schema in a Schema artifact."""
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(artifact.uri))


def raw_spec(schema: schema_pb2.Schema) -> FeatureSpec:
    """How to parse raw examples: fixed-length where the schema gives a shape, else variable-length."""
    return schema_utils.schema_as_feature_spec(schema).feature_spec


def model_spec(schema: schema_pb2.Schema, transform: tft.TFTransformOutput | None) -> FeatureSpec:
    """How to parse the examples that the model sees, label included: transformed ones where there is a Transform.

    Raises:
      InputError: a feature has no fixed shape, so that there is no dense tensor for the model.
    """
    spec = transform.transformed_feature_spec() if transform else raw_spec(schema)
    ragged = sorted(name for name, feature in spec.items() if not isinstance(feature, tf.io.FixedLenFeature))
    if ragged:
        raise InputError(
            f"The model's features {', '.join(ragged)} are missing in some examples or vary in length; the Trainer "
            "takes dense features. Fill or drop them in preprocessing_fn, or give them a shape in the schema."
        )
    return spec


def input_specs(spec: FeatureSpec, label: str) -> dict[str, tf.TensorSpec]:
    """The model's inputs by name: `[batch, ...]` tensors."""
    return {
        name: tf.TensorSpec([None, *feature.shape], feature.dtype, name=name)
        for name, feature in sorted(spec.items())
        if name != label
    }


def read_split(examples: list[Artifact], split: str, spec: FeatureSpec, label: str) -> Split:
    """Reads one split of the Examples into memory.

    Raises:
      InputError: the label is not among the features, or the split has no examples.
    """
    if label not in spec:
        raise InputError(f"The label {label!r} is not among the features {', '.join(sorted(spec))}.")
    folders = artifact_utils.get_split_uris(examples, split)
    files = [str(file) for folder in folders for file in sorted(Path(folder).iterdir())]
    records = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_PARSE_BATCH)
    parsed = list(records.map(lambda batch: tf.io.parse_example(batch, dict(spec))))
    if not parsed:
        raise InputError(f"The split {split!r} has no examples. Give more data, or a larger share in data.splits.")
    columns = {name: tf.concat([batch[name] for batch in parsed], axis=0) for name in spec}
    labels = tf.reshape(columns.pop(label), [-1])
    return Split(columns, labels)


def batches(split: Split, batch_size: int, shuffle_seed: int | None = None) -> tf.data.Dataset:
    """Batches of (features by name, labels); with a seed, in an order that differs from epoch to epoch."""
    order = tf.data.Dataset.range(len(split))
    if shuffle_seed is not None:
        order = order.shuffle(len(split), seed=shuffle_seed, reshuffle_each_iteration=True)

    def gather(rows: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        return {name: tf.gather(column, rows) for name, column in split.features.items()}, tf.gather(split.labels, rows)

    options = tf.data.Options()
    options.autotune.enabled = False  # with it, destroying an iterator can block for half a minute (TF 2.21)
    return order.batch(batch_size).map(gather, num_parallel_calls=2).prefetch(2).with_options(options)
