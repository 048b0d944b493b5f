"""The SavedModel: one set of weights behind three signatures.

`serving_default` takes raw features by name, so that REST and gRPC requests are easy to write; `serve_examples` takes
serialized tf.Examples, as TFMA and batch scoring do; `transformed` takes what the model itself takes, decoded and
padded, which is what TFLite can convert. All return `predictions`, float32; where the loss takes logits, probabilities.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

import custom_ops
from components.dataset import FeatureSpec, decode, padded
from components.signatures import SERVE_EXAMPLES, SERVING_DEFAULT, TRANSFORMED
from components.trainer.model import call, probabilities

Tensors = dict[str, Any]


def export(
    model: keras.Model,
    folder: str,
    *,
    inputs: dict[str, tf.TensorSpec],
    spec: FeatureSpec,
    raw_spec: FeatureSpec,
    transform: tft.TFTransformOutput | None,
) -> None:
    """Writes the SavedModel into `folder`.

    Args:
      model: A built model.
      folder: Where to write; made if it is absent.
      inputs: Specs of the model's inputs by name, `[None, ...]`.
      spec: The features that these are made of: what a training's `decode` was given.
      raw_spec: How raw tf.Examples are parsed, without the label.
      transform: The Transform between raw features and the model's; None where there is none.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    prepare, transformed = _transform(transform, raw_spec, archive), _transformed(model)

    def from_raw(raw: Tensors) -> Tensors:
        decoded = decode(prepare(raw), spec)
        return transformed({name: padded(column) for name, column in decoded.items()})

    def serving_default(features: Tensors) -> Tensors:
        return from_raw({name: _from_dense(features[name], raw_spec[name]) for name in features})

    def serve_examples(examples: tf.Tensor) -> Tensors:
        return from_raw(tf.io.parse_example(examples, dict(raw_spec)))

    with custom_ops.composite():  # what is served, evaluated and converted must not need the compiled ops
        archive.add_endpoint(SERVING_DEFAULT, serving_default, input_signature=[_raw_inputs(raw_spec)])
        archive.add_endpoint(
            SERVE_EXAMPLES, serve_examples, input_signature=[tf.TensorSpec([None], tf.string, name="examples")]
        )
        archive.add_endpoint(TRANSFORMED, transformed, input_signature=[inputs])
        archive.write_out(folder, verbose=False)


def export_transformed(model: keras.Model, folder: str, inputs: dict[str, tf.TensorSpec]) -> None:
    """Writes a SavedModel with the signature `transformed` alone, as `export` does."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    with custom_ops.composite():
        archive.add_endpoint(TRANSFORMED, _transformed(model), input_signature=[inputs])
        archive.write_out(folder, verbose=False)


def _transformed(model: keras.Model) -> Callable[[Tensors], Tensors]:
    def transformed(features: Tensors) -> Tensors:
        outputs = tf.cast(call(model, features, training=False), tf.float32)
        return {"predictions": probabilities(model, outputs)}

    return transformed


def _transform(
    transform: tft.TFTransformOutput | None, raw_spec: FeatureSpec, archive: keras.export.ExportArchive
) -> Callable[[Tensors], Tensors]:
    if transform is None:
        return lambda raw: raw
    layer = transform.transform_features_layer()
    archive.track(layer)
    return lambda raw: layer(raw)


def _raw_inputs(raw_spec: FeatureSpec) -> dict[str, tf.TensorSpec]:
    """Dense tensors for the raw features: `[batch, ...]`, or `[batch, values]` where the length varies."""
    return {
        name: tf.TensorSpec(
            [None, *feature.shape] if isinstance(feature, tf.io.FixedLenFeature) else [None, None],
            feature.dtype,
            name=name,
        )
        for name, feature in sorted(raw_spec.items())
    }


def _from_dense(values: tf.Tensor, feature: Any) -> tf.Tensor | tf.SparseTensor:
    """Sparse where the feature's length varies; NaN and the empty string stand for no value."""
    if isinstance(feature, tf.io.FixedLenFeature):
        return values
    if values.dtype == tf.string:
        present = tf.not_equal(values, "")
    elif values.dtype.is_floating:
        present = tf.logical_not(tf.math.is_nan(values))
    else:
        present = tf.ones_like(values, tf.bool)
    return tf.SparseTensor(tf.where(present), tf.boolean_mask(values, present), tf.shape(values, tf.int64))
