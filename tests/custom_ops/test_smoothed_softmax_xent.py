"""The op SmoothedSoftmaxXent and its composite against a float64 NumPy reference: numbers, options, extremes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf

import custom_ops
from tests.custom_ops.contract import Arrays, OpContract
from tests.custom_ops.xent_reference import Pair, assert_equal_to_reference, loss_and_gradient, random_case, reference

# 5,000 classes: several of the kernel's blocks; 300 rows of 999: enough work for TF to use its threads.
SHAPES = [(1, 1), (2, 2), (7, 3), (5, 17), (300, 999), (3, 5000), (2, 3, 65), (2, 2, 3, 1025)]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"label_smoothing": 0.1},
    {"label_smoothing": 1.0},
    {"z_loss": 1e-2},
    {"label_smoothing": 0.2, "z_loss": 1e-4, "ignore_index": 0},
]
FAR_APART = np.array([[1000, 0, -1000], [-3e38, 0, 3e38], [-np.inf, 0, 0]], np.float32)

IN_ANOTHER_PROCESS = """
import sys, numpy as np
from tests.custom_ops.xent_reference import loss_and_gradient, random_case
import tensorflow as tf
found = []
for shape in [(300, 999), (3, 5000), (5, 17)]:
    logits, labels = random_case(shape)
    for dtype in (tf.float32, tf.bfloat16):
        loss, gradient = loss_and_gradient(tf.cast(logits, dtype), labels, label_smoothing=0.1, z_loss=1e-2)
        found += [loss, tf.cast(gradient, tf.float32).numpy()]
np.savez(sys.argv[1], *found)
"""


class TestContract(OpContract):
    op_type = "SmoothedSoftmaxXent"
    cases: ClassVar[dict[str, Callable[[], Arrays]]] = {
        "matrix": lambda: random_case((6, 20)),
        "sequences": lambda: random_case((2, 3, 33)),
    }
    rtol: ClassVar[dict[str, float]] = {"float32": 2e-6, "bfloat16": 2**-8}

    @staticmethod
    def call(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        result: tf.Tensor = custom_ops.smoothed_softmax_xent(
            logits, labels, label_smoothing=0.1, ignore_index=3, z_loss=1e-2
        )
        return result


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_loss_and_gradient_equal_the_float64_reference(
    implementation: str, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    logits, labels = random_case(shape)
    expected = reference(logits, labels, **options)
    assert_equal_to_reference(loss_and_gradient(logits, labels, **options), expected)
    in_bfloat16 = loss_and_gradient(tf.cast(logits, tf.bfloat16), labels, **options)
    assert in_bfloat16[1].dtype == tf.bfloat16.as_numpy_dtype
    assert_equal_to_reference(in_bfloat16, expected)


def test_float16_logits_give_a_float32_loss_and_a_float16_gradient(implementation: str) -> None:
    logits, labels = random_case((5, 17))
    loss, gradient = loss_and_gradient(tf.cast(logits, tf.float16), labels, label_smoothing=0.1)
    expected_loss, expected_gradient = reference(logits, labels, label_smoothing=0.1)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
    assert gradient.dtype == np.float16
    np.testing.assert_allclose(gradient.astype(float), expected_gradient, rtol=2**-10, atol=2**-24)


def test_weights_multiply_loss_and_gradient_and_have_one_of_their_own(implementation: str) -> None:
    logits, labels = (tf.constant(array) for array in random_case((3, 7)))
    weights = tf.constant([0.0, 0.5, 2.0])
    with tf.GradientTape() as tape:
        tape.watch([logits, weights])
        loss = custom_ops.smoothed_softmax_xent(logits, labels, label_smoothing=0.1, weights=weights)
    of_logits, of_weights = tape.gradient(loss, [logits, weights])
    plain, gradient = reference(logits.numpy(), labels.numpy(), label_smoothing=0.1)
    np.testing.assert_allclose(loss, plain * weights, rtol=1e-6)
    np.testing.assert_allclose(of_logits, gradient * weights[:, None], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(of_weights, plain, rtol=1e-6)


def test_ignored_examples_come_to_nothing_whatever_their_logits(implementation: str) -> None:
    logits, labels = random_case((4, 50))
    logits[1], logits[2] = np.nan, np.inf
    labels[1:3] = -100
    loss, gradient = loss_and_gradient(logits, labels, ignore_index=-100, label_smoothing=0.1, z_loss=0.1)
    assert not loss[1:3].any()
    assert not gradient[1:3].any()
    kept = [0, 3]
    expected = reference(logits[kept], labels[kept], label_smoothing=0.1, z_loss=0.1)
    assert_equal_to_reference((loss[kept], gradient[kept]), expected)


def test_extreme_logits_stay_exact(implementation: str) -> None:
    loss, gradient = loss_and_gradient(FAR_APART, np.array([0, 2, 1]))
    np.testing.assert_allclose(loss, [0, 0, np.log(2)], atol=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0, 0], [0, 0, 0], [0, -0.5, 0.5]], atol=1e-6)


@pytest.mark.parametrize("offset", [-1e4, 1e4])
def test_what_is_added_to_all_logits_changes_nothing(implementation: str, offset: float) -> None:
    logits = np.array([[1.0, 2.0, 4.0, 4.0]], np.float32)
    loss, gradient = loss_and_gradient(logits + np.float32(offset), np.array([3]), label_smoothing=0.1)
    assert_equal_to_reference((loss, gradient), reference(logits, np.array([3]), label_smoothing=0.1))


def infinities() -> np.ndarray:
    """Rows of 3,000: -inf at first, at last, all over, at the label; one and two of +inf; NaN beside -inf only."""
    logits = np.random.default_rng(0).normal(size=(8, 3000)).astype(np.float32)
    logits[0, :2000] = logits[1, 1000:] = logits[2] = logits[3, 7] = logits[7] = -np.inf
    logits[4, 5] = logits[5, 7] = logits[5, 2999] = np.inf
    logits[6, 1500] = logits[7, 20] = np.nan
    return logits


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_infinite_and_nan_logits_give_what_log_softmax_makes_of_them(implementation: str, smoothing: float) -> None:
    logits, labels = tf.constant(infinities()), np.full(8, 7)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        log_probabilities = tf.nn.log_softmax(logits)
        of_label, of_all = tf.gather(log_probabilities, labels, batch_dims=1), tf.reduce_mean(log_probabilities, 1)
        expected = {0.0: -of_label, 0.1: -0.9 * of_label - 0.1 * of_all, 1.0: -of_all}[smoothing]
    loss, gradient = loss_and_gradient(logits, labels, label_smoothing=smoothing)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(gradient, tape.gradient(expected, logits), rtol=1e-5, atol=1e-7)
    assert np.isnan(loss).tolist() == [False, False, True, False, True, True, True, True]


def test_a_row_has_the_same_bits_alone_as_among_others_on_several_threads() -> None:
    logits, labels = random_case((300, 999))
    together = loss_and_gradient(logits, labels, label_smoothing=0.1)
    for row in range(0, 300, 30):
        alone = loss_and_gradient(logits[row : row + 1], labels[row : row + 1], label_smoothing=0.1)
        for left, right in zip(alone, together, strict=True):
            np.testing.assert_array_equal(left[0], right[row])


def test_int32_labels_give_the_same(implementation: str) -> None:
    logits, labels = random_case((7, 3))
    by_int32 = loss_and_gradient(logits, labels.astype(np.int32), label_smoothing=0.1)
    for left, right in zip(by_int32, loss_and_gradient(logits, labels, label_smoothing=0.1), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("shape", [(0, 10), (2, 0, 10)])
def test_empty_batch_gives_empty_results(implementation: str, shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape[:-1], np.int64)
    loss, gradient = loss_and_gradient(np.zeros(shape, np.float32), labels, label_smoothing=0.1, ignore_index=1)
    assert loss.shape == shape[:-1]
    assert gradient.shape == shape


@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_second_derivatives_equal_those_of_the_formula(implementation: str, z_loss: float) -> None:
    logits, labels = (tf.constant(array) for array in random_case((1, 5)))
    weight = tf.constant([3.0])
    with tf.GradientTape(persistent=True) as outer:
        outer.watch([logits, weight])
        with tf.GradientTape() as inner:
            inner.watch(logits)
            loss = custom_ops.smoothed_softmax_xent(logits, labels, label_smoothing=0.1, z_loss=z_loss, weights=weight)
        gradient = inner.gradient(loss, logits)
    p, log_sum_exp = tf.nn.softmax(logits).numpy()[0], tf.reduce_logsumexp(logits).numpy()
    hessian = (1 + 2 * z_loss * log_sum_exp) * (np.diag(p) - np.outer(p, p)) + 2 * z_loss * np.outer(p, p)
    found = outer.jacobian(gradient, logits).numpy().reshape(5, 5)
    np.testing.assert_allclose(found, 3 * hessian, atol=2e-6)
    _, derivative = reference(logits.numpy(), labels.numpy(), label_smoothing=0.1, z_loss=z_loss)
    np.testing.assert_allclose(outer.jacobian(gradient, weight).numpy().reshape(5), derivative[0], atol=1e-6)


def test_every_instruction_set_equals_the_float64_reference(tmp_path: Path) -> None:
    names = ("portable", "avx2", "avx512")
    children = [
        subprocess.Popen(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, str(tmp_path / f"{name}.npz")],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "SLIPWAY_OPS_ISA": name},
        )
        for name in names
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    for name in names:
        arrays = iter(np.load(tmp_path / f"{name}.npz").values())
        for shape in [(300, 999), (3, 5000), (5, 17)]:
            expected = reference(*random_case(shape), label_smoothing=0.1, z_loss=1e-2)
            assert_equal_to_reference((next(arrays), next(arrays)), expected)
            in_bfloat16: Pair = (next(arrays), tf.cast(next(arrays), tf.bfloat16).numpy())
            assert_equal_to_reference(in_bfloat16, expected)
