"""A split of an Examples artifact as tensors in memory, and batches of it: what the Trainer and Quantizer read.

Records are parsed in large batches and decoded once; an epoch gathers rows by index, so its step rate is that of
arrays in memory.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

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


class Rows(NamedTuple):
    """Some examples: features `[m, ...]` by name, labels `[m]`, or `[m, k]` where each row has k, weights `[m]`.

    Weights are float32, or `()` where all weigh 1.
    """

    features: dict[str, tf.Tensor]
    labels: tf.Tensor
    weights: tf.Tensor | tuple[()] = ()

    @property
    def sample_weight(self) -> tf.Tensor | None:
        """The weights as Keras takes them."""
        return None if isinstance(self.weights, tuple) else self.weights


@dataclasses.dataclass(frozen=True)
class Split:
    """Features `[n, ...]` by name, labels `[n]` or `[n, k]`, and weights `[n]` or `()` of the split `name`."""

    name: str
    features: dict[str, tf.Tensor]
    labels: tf.Tensor
    weights: tf.Tensor | tuple[()] = ()

    @property
    def sample_weight(self) -> tf.Tensor | None:
        """The weights as Keras takes them."""
        return None if isinstance(self.weights, tuple) else self.weights

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def check_finite(self) -> None:
        """Raises InputError, with the column and the count, where a feature or a label is NaN or infinite."""
        for name, column in [*self.features.items(), ("the label", self.labels)]:
            if column.dtype.is_floating:
                count = int(tf.math.count_nonzero(~tf.math.is_finite(column)))
                if count:
                    raise InputError(
                        f"{name} has {count} values that are NaN or infinite in the split {self.name!r}; expected "
                        "numbers. Correct the data, or fill them in preprocessing_fn."
                    )

    def take(self, numbers: tf.Tensor) -> Rows:
        """Some rows, by number."""
        everything = Rows(self.features, self.labels, self.weights)
        return tf.nest.map_structure(lambda column: tf.gather(column, numbers), everything)


def read_schema(artifact: Artifact) -> schema_pb2.Schema:
    """The schema in a Schema artifact."""
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(artifact.uri))


def read_transform(artifacts: list[Artifact] | None) -> tft.TFTransformOutput | None:
    """The Transform in an optional TransformGraph input."""
    return tft.TFTransformOutput(artifacts[0].uri) if artifacts else None


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
            f"The model's feature{'s' if len(ragged) > 1 else ''} {', '.join(ragged)} "
            f"{'are' if len(ragged) > 1 else 'is'} missing in some examples or of varying length; the Trainer takes "
            "dense features. Fill or drop such features in preprocessing_fn, or give them a shape in the schema."
        )
    return spec


def input_specs(spec: FeatureSpec, label: str, weight: str | None = None) -> dict[str, tf.TensorSpec]:
    """The model's inputs by name, all but the label and the weight: `[batch, ...]` tensors."""
    return {
        name: tf.TensorSpec([None, *feature.shape], feature.dtype, name=name)
        for name, feature in sorted(spec.items())
        if name not in (label, weight)
    }


def records(examples: list[Artifact], split: str) -> tf.data.TFRecordDataset:
    """The serialized tf.Examples of a split, in the order of its files."""
    folders = artifact_utils.get_split_uris(examples, split)
    files = [str(file) for folder in folders for file in sorted(Path(folder).iterdir())]
    return tf.data.TFRecordDataset(files, compression_type="GZIP")


def read_split(examples: list[Artifact], split: str, spec: FeatureSpec, label: str, weight: str | None = None) -> Split:
    """Reads one split of the Examples into memory.

    Args:
      examples: Examples artifacts.
      split: The split's name.
      spec: How the examples are parsed.
      label: The feature that is the label: one value in each row, or k.
      weight: The feature that says how much each row counts; None: all the same.

    Raises:
      InputError: the label or the weight is not among the features, the weights are not numbers of 0 or more, or the
        split has no examples.
    """
    for role, name in (("label", label), ("weight", weight)):
        if name is not None and name not in spec:
            raise InputError(f"The {role} {name!r} is not among the features {', '.join(sorted(spec))}.")
    batches = records(examples, split).batch(_PARSE_BATCH)
    parsed = list(batches.map(lambda batch: tf.io.parse_example(batch, dict(spec))))
    if not parsed:
        raise InputError(f"The split {split!r} has no examples. Give more data, or a larger share in data.splits.")
    columns = {name: tf.concat([batch[name] for batch in parsed], axis=0) for name in spec}
    labels = _labels(columns.pop(label))
    weights = () if weight is None else _weights(columns.pop(weight), weight, split)
    return Split(split, columns, labels, weights)


def _labels(column: tf.Tensor) -> tf.Tensor:
    """`[n]` where each row has one value, else `[n, k]`."""
    values = column.shape[1:].num_elements()
    return tf.reshape(column, [-1] if values == 1 else [-1, values])


def _weights(column: tf.Tensor, name: str, split: str) -> tf.Tensor:
    values = column.shape[1:].num_elements()
    if column.dtype == tf.string or values != 1:
        received = "text" if column.dtype == tf.string else f"{values} numbers a row"
        raise InputError(f"The weight {name!r} holds {received}, expected one number a row.")
    weights = tf.cast(tf.reshape(column, [-1]), tf.float32)
    wrong = int(tf.math.count_nonzero(~(tf.math.is_finite(weights) & (weights >= 0))))
    if wrong:
        raise InputError(
            f"The weight {name!r} has {wrong} values that are negative, NaN or infinite in the split {split!r}; "
            "expected numbers of 0 or more. Correct the data."
        )
    if not float(tf.reduce_max(weights)):
        raise InputError(f"The weight {name!r} is 0 in every row of the split {split!r}, so that nothing counts there.")
    return weights
