"""The op and its composite against a float64 NumPy reference, and how they refuse what they cannot take."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import custom_ops
from custom_ops import library

# 5,000 classes: several of the kernel's blocks; 300 rows of 999: enough work for TF to use its threads.
SHAPES = [(1, 1), (2, 2), (7, 3), (5, 17), (300, 999), (3, 5000)]


def reference(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    """Loss and derivative by the definition: cross-entropy with the smoothed one-hot distribution, in float64."""
    batch, classes = logits.shape
    target = np.full((batch, classes), smoothing / classes)
    target[np.arange(batch), labels] += 1 - smoothing
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(target * log_probabilities).sum(axis=1), np.exp(log_probabilities) - target


def random_case(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(shape)
    return random.normal(scale=4, size=shape).astype(np.float32), random.integers(0, shape[1], size=shape[0])


def loss_and_gradient(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> tuple[np.ndarray, np.ndarray]:
    variable = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = custom_ops.smoothed_softmax_xent(variable, labels, label_smoothing=smoothing)
    return loss.numpy(), tape.gradient(loss, variable).numpy()


@pytest.fixture(params=["op", "composite"])
def implementation(request: pytest.FixtureRequest) -> Any:
    """Both ways to run a call, one after the other."""
    assert custom_ops.available(), "`make setup` builds the op"
    if request.param == "op":
        yield request.param
    else:
        with custom_ops.composite():
            yield request.param


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_loss_and_gradient_equal_the_float64_reference(
    implementation: str, shape: tuple[int, int], smoothing: float
) -> None:
    logits, labels = random_case(shape)
    loss, gradient = loss_and_gradient(logits, labels, smoothing)
    expected_loss, expected_gradient = reference(logits, labels, smoothing)
    # A few units in the last place of float32 (6e-8, relative), of the largest term where terms cancel.
    np.testing.assert_allclose(loss, expected_loss, rtol=5e-7, atol=2e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=5e-6, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES)
def test_op_equals_its_composite(shape: tuple[int, int]) -> None:
    logits, labels = random_case(shape)
    by_op = loss_and_gradient(logits, labels, 0.1)
    with custom_ops.composite():
        by_composite = loss_and_gradient(logits, labels, 0.1)
    for left, right in zip(by_op, by_composite, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-6)


def test_extreme_logits_stay_exact(implementation: str) -> None:
    logits = np.array([[1000, 0, -1000], [-3e38, 0, 3e38], [-np.inf, 0, 0]], np.float32)
    loss, gradient = loss_and_gradient(logits, np.array([0, 2, 1]), 0.0)
    np.testing.assert_allclose(loss, [0, 0, np.log(2)], atol=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0, 0], [0, 0, 0], [0, -0.5, 0.5]], atol=1e-6)


def test_nan_logit_poisons_its_row_only(implementation: str) -> None:
    logits = np.zeros((3, 20), np.float32)
    logits[1, 4] = np.nan
    loss, gradient = loss_and_gradient(logits, np.zeros(3, np.int64), 0.1)
    assert np.isnan(loss).tolist() == [False, True, False]
    assert np.isnan(gradient).all(axis=1).tolist() == [False, True, False]
    assert not np.isnan(gradient[[0, 2]]).any()


def test_int32_labels_give_the_same(implementation: str) -> None:
    logits, labels = random_case((7, 3))
    by_int32 = custom_ops.smoothed_softmax_xent(logits, labels.astype(np.int32), label_smoothing=0.1)
    np.testing.assert_array_equal(by_int32, custom_ops.smoothed_softmax_xent(logits, labels, label_smoothing=0.1))


def test_empty_batch_gives_empty_results(implementation: str) -> None:
    loss, gradient = loss_and_gradient(np.zeros((0, 10), np.float32), np.zeros(0, np.int64), 0.1)
    assert loss.shape == (0,)
    assert gradient.shape == (0, 10)


def test_second_derivative_equals_the_softmax_jacobian(implementation: str) -> None:
    logits, labels = random_case((1, 5))
    variable = tf.constant(logits)
    with tf.GradientTape() as outer:
        outer.watch(variable)
        with tf.GradientTape() as inner:
            inner.watch(variable)
            loss = custom_ops.smoothed_softmax_xent(variable, labels, label_smoothing=0.1)
        gradient = inner.gradient(loss, variable)
    hessian = outer.jacobian(gradient, variable).numpy().reshape(5, 5)
    probabilities = reference(logits, labels, 1.0)[1][0] + 1 / 5  # with all mass smoothed the target is uniform
    expected = np.diag(probabilities) - np.outer(probabilities, probabilities)
    np.testing.assert_allclose(hessian, expected, atol=1e-6)


@pytest.mark.parametrize("label", [-1, 10])
def test_label_out_of_range_is_refused(implementation: str, label: int) -> None:
    labels = np.array([0, 1, 2, label])
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"\[3\] = {label} is (outside|not in) \[0, 10\)"):
        custom_ops.smoothed_softmax_xent(np.zeros((4, 10), np.float32), labels)


@pytest.mark.parametrize(
    ("logits", "labels"), [((4, 10), (3,)), ((4,), (4,)), ((2, 2, 3), (2,)), ((4, 10), (4, 1)), ((4, 10), ())]
)
def test_shapes_that_do_not_fit_are_refused_by_name(logits: tuple[int, ...], labels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"Received: logits \({logits[0]}.*, labels \("):
        custom_ops.smoothed_softmax_xent(np.zeros(logits, np.float32), np.zeros(labels, np.int64))


def test_shapes_known_only_when_run_are_refused_with_both() -> None:
    call = tf.function(
        lambda logits, labels: custom_ops.smoothed_softmax_xent(logits, labels),
        input_signature=[tf.TensorSpec(None, tf.float32), tf.TensorSpec(None, tf.int64)],
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"shape \[4,10\] and labels of shape \[3\]"):
        call(tf.zeros([4, 10]), tf.zeros([3], tf.int64))


def test_wrong_dtypes_and_smoothing_are_refused() -> None:
    with pytest.raises(ValueError, match="Received: logits float64, labels int64"):
        custom_ops.smoothed_softmax_xent(np.zeros((1, 2)), np.zeros(1, np.int64))
    with pytest.raises(ValueError, match=r"label_smoothing=1\.5"):
        custom_ops.smoothed_softmax_xent(np.zeros((1, 2), np.float32), np.zeros(1, np.int64), label_smoothing=1.5)


def test_shape_function_infers_from_either_argument() -> None:
    with tf.Graph().as_default():
        logits = tf.raw_ops.Placeholder(dtype=tf.float32, shape=tf.TensorShape([None, 10]))
        labels = tf.raw_ops.Placeholder(dtype=tf.int64, shape=tf.TensorShape([4]))
        loss, maximum, total = library.load().smoothed_softmax_xent(logits, labels)
        gradient = library.load().smoothed_softmax_xent_grad(logits, labels, maximum, total, loss)
    assert [loss.shape, maximum.shape, total.shape] == [[4]] * 3
    assert gradient.shape == [4, 10]


@pytest.mark.parametrize(("logits", "labels"), [([4, 10], [3]), ([4], [4]), ([4, 10], [4, 1])])
def test_shape_function_refuses_while_the_graph_is_built(logits: list[int], labels: list[int]) -> None:
    with tf.Graph().as_default(), pytest.raises(ValueError, match="SmoothedSoftmaxXent"):
        library.load().smoothed_softmax_xent(tf.zeros(logits), tf.zeros(labels, tf.int64))


def test_keras_loss_equals_keras_own_on_one_hot_labels(implementation: str) -> None:
    logits, labels = random_case((7, 3))
    ours = custom_ops.SmoothedCrossentropy(label_smoothing=0.2)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    expected = theirs(np.eye(3)[labels], logits)
    np.testing.assert_allclose(ours(labels, logits), expected, rtol=1e-6)
    np.testing.assert_allclose(ours(labels[:, None], logits), expected, rtol=1e-6)


def test_keras_loss_survives_serialization() -> None:
    loss = custom_ops.SmoothedCrossentropy(label_smoothing=0.2)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, custom_ops.SmoothedCrossentropy)
    assert again.label_smoothing == 0.2


def test_fit_with_the_op_ends_at_the_weights_of_keras_own_loss() -> None:
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
