"""The Keras loss SmoothedCrossentropy against Keras' own losses: values, reductions, masks, dtypes, training."""

import itertools
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import custom_ops
from tests.custom_ops.xent_reference import random_case, reference

REDUCTIONS = ["sum_over_batch_size", "sum", "none", "mean_with_sample_weight"]
NO_CLASS = -1


def sequences() -> tuple[np.ndarray, np.ndarray]:
    """Logits [4, 5, 7] and labels of which a third are to be ignored."""
    logits, labels = random_case((4, 5, 7))
    labels.flat[::3] = NO_CLASS
    return logits, labels


@pytest.mark.parametrize("shape", [(7, 3), (2, 5, 3)])
def test_it_equals_keras_own_on_one_hot_labels(implementation: str, shape: tuple[int, ...]) -> None:
    logits, labels = random_case(shape)
    ours = custom_ops.SmoothedCrossentropy(label_smoothing=0.2)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    expected = theirs(np.eye(3)[labels], logits)
    np.testing.assert_allclose(ours(labels, logits), expected, rtol=1e-6)
    np.testing.assert_allclose(ours(labels[..., None], logits), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("reduction", "weighted", "masked"), list(itertools.product(REDUCTIONS, [False, True], [False, True]))
)
def test_reduction_weights_and_masks_are_those_of_keras(
    implementation: str, reduction: str, weighted: bool, masked: bool
) -> None:
    logits, labels = sequences()
    tensor = tf.constant(logits)
    if masked:  # as a layer such as Embedding(mask_zero=True) leaves it
        tensor._keras_mask = tf.sequence_mask([5, 3, 0, 4], 5)
    weights = np.linspace(0, 2, 20, dtype=np.float32).reshape(4, 5) if weighted else None
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=NO_CLASS, reduction=reduction)
    ours = custom_ops.SmoothedCrossentropy(ignore_index=NO_CLASS, reduction=reduction)
    np.testing.assert_allclose(ours(labels, tensor, weights), theirs(labels, tensor, weights), rtol=2e-6)


def test_a_mean_is_over_what_is_not_ignored(implementation: str) -> None:
    logits, labels = sequences()
    loss = custom_ops.SmoothedCrossentropy(ignore_index=NO_CLASS, label_smoothing=0.1, z_loss=1e-2)(labels, logits)
    expected, _ = reference(logits, labels, ignore_index=NO_CLASS, label_smoothing=0.1, z_loss=1e-2)
    np.testing.assert_allclose(loss, expected[labels != NO_CLASS].mean(), rtol=1e-6)


def test_where_all_is_ignored_the_mean_is_0(implementation: str) -> None:
    logits, labels = sequences()
    loss = custom_ops.SmoothedCrossentropy(ignore_index=NO_CLASS)
    assert loss(np.full_like(labels, NO_CLASS), logits) == 0


def test_no_label_is_rounded() -> None:
    label = 2**24 + 1  # the least that float32 does not hold: it would be 2^24, which is ignored
    loss = custom_ops.SmoothedCrossentropy(ignore_index=2**24)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"labels\[0\] = {label} is outside"):
        loss(np.array([label]), np.zeros((1, 10), np.float32))


@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16"])
def test_no_label_is_rounded_to_bfloat16(implementation: str, dtype: str) -> None:
    logits, _ = random_case((3, 1000))
    labels = np.array([999, 257, 511])  # bfloat16 holds no odd number above 256
    loss = custom_ops.SmoothedCrossentropy(dtype=dtype)(labels, logits)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, reference(logits, labels)[0].mean(), rtol=1e-6)


def test_bfloat16_logits_come_to_the_op_as_they_are() -> None:
    loss = custom_ops.SmoothedCrossentropy()
    graph = (
        tf.function(loss).get_concrete_function(tf.TensorSpec([4], tf.int32), tf.TensorSpec([4, 9], tf.bfloat16)).graph
    )
    [op] = [op for op in graph.get_operations() if op.type == "SmoothedSoftmaxXent"]
    assert [(one.op.type, one.dtype) for one in op.inputs] == [("Placeholder", tf.bfloat16), ("Placeholder", tf.int32)]


def test_float64_logits_and_labels_of_any_whole_type_are_taken(implementation: str) -> None:
    logits, labels = random_case((6, 7))
    loss, expected = custom_ops.SmoothedCrossentropy(), reference(logits, labels)[0].mean()
    for dtype in (np.uint8, np.int16, np.float32):
        np.testing.assert_allclose(loss(labels.astype(dtype), logits.astype(np.float64)), expected, rtol=1e-6)


def test_it_survives_serialization() -> None:
    options = {"label_smoothing": 0.2, "ignore_index": -1, "z_loss": 1e-4, "reduction": "sum", "dtype": "bfloat16"}
    loss = custom_ops.SmoothedCrossentropy(**options)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, custom_ops.SmoothedCrossentropy)
    assert again.get_config() == loss.get_config() == {**options, "name": "smoothed_crossentropy"}


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"label_smoothing=-0\.1"):
        custom_ops.SmoothedCrossentropy(label_smoothing=-0.1)
    with pytest.raises(ValueError, match=r"z_loss=-1"):
        custom_ops.SmoothedCrossentropy(z_loss=-1)


def test_fit_ends_at_the_weights_of_keras_own_loss() -> None:
    logits, labels = random_case((64, 4))

    def trained(loss: Any, targets: np.ndarray) -> Any:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
        model.compile("sgd", loss=loss)
        model.fit(logits, targets, batch_size=16, epochs=2, shuffle=False, verbose=0)
        return model.layers[0].kernel.numpy()

    ours = trained(custom_ops.SmoothedCrossentropy(label_smoothing=0.1), labels)
    theirs = trained(keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), np.eye(4)[labels])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_mixed_bfloat16_model_is_trained_on_the_float64_reference_of_its_logits() -> None:
    keras.utils.set_random_seed(1)
    tokens = np.random.default_rng(0).integers(256, 1000, size=(8, 6))
    model = keras.Sequential([keras.layers.Embedding(1000, 8), keras.layers.Dense(1000)])
    for layer in model.layers:
        layer.dtype_policy = "mixed_bfloat16"
    model.compile("sgd", loss=custom_ops.SmoothedCrossentropy(label_smoothing=0.1))
    logits = model(tokens)
    assert logits.dtype == tf.bfloat16
    expected = reference(tf.cast(logits, tf.float32).numpy(), tokens, label_smoothing=0.1)[0].mean()
    before = model.layers[1].kernel.numpy()
    found = model.train_on_batch(tokens, tokens)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.abs(model.layers[1].kernel.numpy() - before).max() > 0
