"""FusedDense against `keras.layers.Dense` with the same weights."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import custom_ops

# What of ours is what of Keras'.
ACTIVATIONS = {None: None, "relu": "relu", "gelu_tanh": lambda x: keras.ops.gelu(x, approximate=True), "gelu": "gelu",
               "softmax": "softmax"}  # fmt: skip


def inputs(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def pair(activation: Any, shape: tuple[int, ...], **options: Any) -> tuple[Any, Any]:
    """Ours and Keras' layer, with the same weights."""
    ours = custom_ops.FusedDense(9, activation=activation, **options)
    theirs = keras.layers.Dense(9, activation=ACTIVATIONS[activation], **options)
    for layer in (ours, theirs):
        layer.build(shape)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6)], ids=str)
@pytest.mark.parametrize("use_bias", [True, False])
def test_layer_equals_dense(activation: Any, shape: tuple[int, ...], use_bias: bool) -> None:
    ours, theirs = pair(activation, shape, use_bias=use_bias)
    np.testing.assert_allclose(ours(inputs(*shape)), theirs(inputs(*shape)), atol=1e-6)
    assert ours.compute_output_shape(shape) == theirs.compute_output_shape(shape)
    assert [weight.name for weight in ours.weights] == [weight.name for weight in theirs.weights]


@pytest.mark.parametrize(("policy", "tolerance"), [("mixed_bfloat16", 2**-6), ("mixed_float16", 2**-9)])
def test_layer_under_a_mixed_policy_equals_dense(policy: str, tolerance: float) -> None:
    ours, theirs = pair("relu", (5, 6), dtype=policy)
    found, expected = ours(inputs(5, 6)), theirs(inputs(5, 6))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(tf.cast(found, tf.float32), tf.cast(expected, tf.float32), atol=tolerance)


def test_fit_with_the_layer_ends_at_the_weights_of_dense() -> None:
    def trained(layer: type[keras.Layer], activation: Any) -> list[np.ndarray]:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((6,)), layer(9, activation=activation), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(inputs(64, 6), inputs(64, 1), batch_size=16, epochs=3, shuffle=False, verbose=0)
        return model.get_weights()

    ours = trained(custom_ops.FusedDense, "gelu_tanh")
    theirs = trained(keras.layers.Dense, ACTIVATIONS["gelu_tanh"])
    for left, right in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "gelu_tanh"])
def test_model_is_saved_and_loaded(activation: str, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((6,)), custom_ops.FusedDense(9, activation=activation)])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again.layers[0], custom_ops.FusedDense)
    np.testing.assert_array_equal(again(inputs(4, 6)), model(inputs(4, 6)))


def test_layer_becomes_a_tflite_model_of_builtin_operations() -> None:
    model = keras.Sequential([keras.Input((6,), batch_size=1), custom_ops.FusedDense(9, activation="relu")])
    with custom_ops.composite():
        interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
    run = interpreter.get_signature_runner()
    [name] = run.get_input_details()
    [found] = run(**{name: inputs(1, 6)}).values()
    np.testing.assert_allclose(found, model(inputs(1, 6)), atol=1e-6)
