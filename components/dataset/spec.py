"""What the examples hold and the model takes, feature by feature: from the schema, before a record is read."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.types.artifact import Artifact
from tfx.utils import io_utils

from lineage.outcome import InputError


@dataclasses.dataclass(frozen=True)
class Image:
    """An encoded image (png, jpeg, bmp, or a gif, of which it is the first frame), decoded to `shape` uint8.

    Attributes:
      shape: [height, width, channels]; None where no image has been looked at yet.
    """

    shape: tuple[int | None, int | None, int | None] = (None, None, None)
    dtype: ClassVar[tf.DType] = tf.uint8


FeatureSpec = Mapping[str, tf.io.FixedLenFeature | tf.io.VarLenFeature | Image]


def read_schema(artifact: Artifact) -> schema_pb2.Schema:
    """The schema in a Schema artifact."""
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(artifact.uri))


def read_transform(artifacts: list[Artifact] | None) -> tft.TFTransformOutput | None:
    """The Transform in an optional TransformGraph input."""
    return tft.TFTransformOutput(artifacts[0].uri) if artifacts else None


def raw_spec(schema: schema_pb2.Schema) -> FeatureSpec:
    """How to parse raw examples: fixed-length where the schema gives a shape, else variable-length.

    Images are the strings that they are in the examples.

    Raises:
      InputError: the schema has a sparse feature.
    """
    spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    _refuse_sparse(spec)
    return spec


def model_spec(schema: schema_pb2.Schema, transform: tft.TFTransformOutput | None) -> FeatureSpec:
    """What the model sees, label and weight included: transformed examples where there is a Transform.

    A feature that the schema gives an `image_domain` is an Image, unless Transform has made something else of it.

    Raises:
      InputError: a feature is sparse, or an image is missing in some examples.
    """
    spec = raw_spec(schema)
    if transform is not None:
        spec = transform.transformed_feature_spec()
        _refuse_sparse(spec)
    images = {feature.name for feature in schema.feature if feature.HasField("image_domain")}
    images &= {name for name, feature in spec.items() if feature.dtype == tf.string}
    for name in sorted(images):
        feature = spec[name]
        if not isinstance(feature, tf.io.FixedLenFeature) or tf.TensorShape(feature.shape).num_elements() != 1:
            raise InputError(
                f"The feature {name} has an image_domain, but not one value in every example. Give every example an "
                "image, and the feature `presence { min_fraction: 1 } shape { dim { size: 1 } }` in the schema."
            )
    return {name: Image() if name in images else feature for name, feature in spec.items()}


def input_specs(spec: FeatureSpec, label: str, weight: str | None = None) -> dict[str, tf.TensorSpec]:
    """The model's inputs by name, all but the label and the weight.

    `[batch, ...]` tensors; `[batch, longest]` where the number of values varies, short rows padded with 0 or "".
    """
    return {
        name: tf.TensorSpec([None, *_shape(feature)], feature.dtype, name=name)
        for name, feature in sorted(spec.items())
        if name not in (label, weight)
    }


def parser(spec: FeatureSpec) -> dict[str, Any]:
    """The features for `tf.io.parse_example`."""
    one_string = tf.io.FixedLenFeature([], tf.string)
    return {name: one_string if isinstance(feature, Image) else feature for name, feature in spec.items()}


def _shape(feature: tf.io.FixedLenFeature | tf.io.VarLenFeature | Image) -> list[int | None]:
    return [None] if isinstance(feature, tf.io.VarLenFeature) else [*feature.shape]


def _refuse_sparse(spec: Mapping[str, Any]) -> None:
    known = (tf.io.FixedLenFeature, tf.io.VarLenFeature)
    names = sorted(name for name, feature in spec.items() if not isinstance(feature, known))
    if names:
        raise InputError(
            f"The feature{'s' if len(names) > 1 else ''} {', '.join(names)} would be a sparse or nested tensor, but a "
            "model takes dense ones and lists of values. Leave sparse_feature and tensor_representation out of the "
            "schema, and answer with dense tensors in preprocessing_fn (tf.sparse.to_dense)."
        )
