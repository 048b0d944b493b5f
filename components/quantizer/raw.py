"""Raw features as the signature `serving_default` takes them, and so a file with `preprocessing_fn` inside.

One number or an array of them, dense, with NaN for a float that is missing. Text and lists of values stay outside.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from components import dataset
from lineage.outcome import InputError

_OUTSIDE = (
    "Set quantizer.include_preprocessing to false, so that what calls the file computes the model's inputs, or leave "
    "these columns out of the data"
)


def inputs(schema: schema_pb2.Schema, omitted: Collection[str]) -> dict[str, tf.io.FixedLenFeature]:
    """How to parse the raw features but for the label and the weight.

    Raises:
      InputError: some are text, or lists of values.
    """
    spec = {name: feature for name, feature in dataset.raw_spec(schema).items() if name not in omitted}
    text = [name for name, feature in spec.items() if feature.dtype == tf.string]
    if text:
        raise InputError(
            f"The raw features {', '.join(sorted(text))} are text, expected numbers: a TFLite file with "
            f"preprocessing_fn takes nothing else. {_OUTSIDE}."
        )
    single = {feature.name for feature in schema.feature if feature.value_count.max == 1}
    lists = [name for name, feature in spec.items() if _varies(feature) and name not in single]
    if lists:
        raise InputError(
            f"Examples have any number of values of {', '.join(sorted(lists))}, expected one, by the schema "
            f"`value_count {{ max: 1 }}`: a TFLite file with preprocessing_fn takes no lists. {_OUTSIDE}."
        )
    return {name: _dense(feature) if _varies(feature) else feature for name, feature in spec.items()}


def optional(features: Mapping[str, tf.io.FixedLenFeature]) -> list[str]:
    """Those that may be missing, which NaN says."""
    return [name for name, feature in features.items() if isinstance(feature.default_value, float)]


def parser(
    transform: tft.TFTransformOutput, schema: schema_pb2.Schema, features: Mapping[str, Any], kept: Collection[str]
) -> Callable[[tf.Tensor], dict[str, Any]]:
    """Makes raw features, and the label and the weight as Transform makes them, of serialized examples `[m]`."""
    layer, raw_spec = transform.transform_features_layer(), dict(dataset.raw_spec(schema))

    def parse(serialized: tf.Tensor) -> dict[str, Any]:
        transformed = layer(tf.io.parse_example(serialized, raw_spec))
        return tf.io.parse_example(serialized, dict(features)) | {name: transformed[name] for name in kept}

    return parse


def _varies(feature: Any) -> bool:
    return isinstance(feature, tf.io.VarLenFeature)


def _dense(feature: tf.io.VarLenFeature) -> tf.io.FixedLenFeature:
    return tf.io.FixedLenFeature([1], feature.dtype, float("nan") if feature.dtype.is_floating else 0)
