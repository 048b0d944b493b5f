"""The op MatrixMult and its composite against float64 NumPy references, and how they refuse what they cannot take."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf

import custom_ops
from custom_ops import library
from tests.custom_ops.contract import Arrays, OpContract
from tests.custom_ops.product_reference import ACTIVATIONS, DTYPES, assert_equal_to_reference, exact, factors, gelu

# Around the sizes of tiles and blocks, one row or column, and more than one block each way.
SHAPES = [(1, 1, 1), (1, 300, 700), (6, 16, 16), (13, 31, 49), (97, 1, 33), (64, 1025, 129), (200, 40, 520)]


class TestContract(OpContract):
    op_type = "MatrixMult"
    cases: ClassVar[dict[str, Callable[[], Arrays]]] = {
        "matrices": lambda: [tensor.numpy() for tensor in factors(7, 19, 33)],
        "batches": lambda: [tensor.numpy() for tensor in factors(5, 9, 17, batch=(2, 3))],
    }
    rtol: ClassVar[dict[str, float]] = {"float32": 2e-6, "bfloat16": 2**-6}

    @staticmethod
    def call(a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        result: tf.Tensor = custom_ops.matrix_mult(a, b, bias, activation="gelu")
        return result


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_product_equals_the_float64_reference(shape: tuple[int, int, int], dtype: str, activation: str) -> None:
    a, b, bias = factors(*shape, dtype)
    for with_bias in (True, False):
        found = custom_ops.matrix_mult(a, b, bias if with_bias else None, activation=activation)
        assert found.dtype == a.dtype
        assert_equal_to_reference(found, exact(a), exact(b), exact(bias) if with_bias else 0.0, activation)


INSTRUCTION_SETS = """
from tests.custom_ops import conftest, test_matrix_mult as tests, test_matrix_mult_properties as properties
for dtype in tests.DTYPES:
    for activation in tests.ACTIVATIONS:
        for shape in tests.SHAPES:
            tests.test_product_equals_the_float64_reference(shape, dtype, activation)
        properties.test_any_product_equals_the_float64_reference(dtype=dtype, activation=activation)
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_other_instruction_sets_equal_the_float64_reference(isa: str) -> None:
    child = [sys.executable, "-c", INSTRUCTION_SETS]
    ran = subprocess.run(child, env={**os.environ, "SLIPWAY_OPS_ISA": isa}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_equals_the_float64_reference(
    implementation: str, transpose_a: bool, transpose_b: bool, activation: str
) -> None:
    a, b, bias = factors(11, 23, 35)
    random = np.random.default_rng(1)
    d_c = random.normal(size=(11, 35)).astype(np.float32)
    given = [tf.transpose(a) if transpose_a else a, tf.transpose(b) if transpose_b else b, bias]
    options = {"activation": activation, "transpose_a": transpose_a, "transpose_b": transpose_b}
    for keep_slope in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(given)
            found = custom_ops.matrix_mult(*given, keep_slope=keep_slope, **options)
        d_a, d_b, d_bias = tape.gradient(found, given, output_gradients=tf.constant(d_c))
        z, width = exact(a) @ exact(b) + exact(bias), 1e-6
        slope = {"none": 1.0, "relu": z > 0, "gelu": (gelu(z + width) - gelu(z - width)) / (2 * width)}[activation]
        d_z = d_c * slope
        expected_a, expected_b = d_z @ exact(b).T, exact(a).T @ d_z
        np.testing.assert_allclose(d_a, expected_a.T if transpose_a else expected_a, atol=2e-5)
        np.testing.assert_allclose(d_b, expected_b.T if transpose_b else expected_b, atol=2e-5)
        np.testing.assert_allclose(d_bias, d_z.sum(axis=0), atol=2e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_second_derivative_equals_that_of_the_composite(activation: str) -> None:
    given = factors(3, 4, 5)

    def second() -> list[tf.Tensor]:
        with tf.GradientTape() as outer:
            outer.watch(given)
            with tf.GradientTape() as inner:
                inner.watch(given)
                result = tf.reduce_sum(custom_ops.matrix_mult(*given, activation=activation) ** 2)
            gradients = inner.gradient(result, given)
            total = tf.add_n([tf.reduce_sum(gradient**2) for gradient in gradients])
        return outer.gradient(total, given)

    found = second()
    with custom_ops.composite():
        for left, right in zip(found, second(), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-3 * np.abs(right).max())


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3, 4, 5), (5, 6)), ((3, 4, 5), (3, 5, 6)), ((2, 1, 4, 5), (3, 5, 6)), ((4, 5), (2, 5, 6))],
    ids=str,
)
def test_batch_dimensions_broadcast_as_those_of_numpy(
    implementation: str, a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    random = np.random.default_rng(0)
    left, right = (tf.constant(random.normal(size=shape).astype(np.float32)) for shape in (a, b))
    with tf.GradientTape() as tape:
        tape.watch([left, right])
        found = custom_ops.matrix_mult(left, right)
    np.testing.assert_allclose(found, exact(left) @ exact(right), atol=1e-5)
    assert [gradient.shape for gradient in tape.gradient(found, [left, right])] == [left.shape, right.shape]


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)], ids=str)
def test_sizes_of_zero_give_what_is_left_of_the_product(implementation: str, shape: tuple[int, int, int]) -> None:
    a, b, bias = factors(*shape)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        found = custom_ops.matrix_mult(a, b, bias, activation="relu")
    np.testing.assert_array_equal(found, np.broadcast_to(np.maximum(bias, 0), (shape[0], shape[2])))
    assert [gradient.shape for gradient in tape.gradient(found, [a, b])] == [a.shape, b.shape]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_what_is_not_finite_goes_on_as_in_tensorflow(activation: str, value: float) -> None:
    a, b, bias = (tensor.numpy() for tensor in factors(9, 20, 40))
    a[3, 5] = value
    found = custom_ops.matrix_mult(a, b, bias, activation=activation).numpy()
    with custom_ops.composite():
        expected = custom_ops.matrix_mult(a, b, bias, activation=activation).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.isfinite(np.delete(found, 3, axis=0)).all()


def test_float16_is_taken_by_the_composite() -> None:
    a, b, bias = factors(4, 5, 6, "float16")
    found = custom_ops.matrix_mult(a, b, bias)
    np.testing.assert_allclose(exact(found), exact(a) @ exact(b) + exact(bias), rtol=5e-3, atol=5e-3)


@pytest.mark.parametrize(
    ("a", "b", "bias"),
    [((4, 5), (6, 7), (7,)), ((4,), (4, 7), (7,)), ((4, 5), (5, 7), (6,)), ((4, 5), (5, 7), (1, 7)),
     ((2, 4, 5), (3, 5, 7), (7,))],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_refused_with_both(a: Any, b: Any, bias: Any) -> None:
    with pytest.raises(ValueError, match=rf"Received: a \({a[0]}.*, b \({b[0]}"):
        custom_ops.matrix_mult(tf.zeros(a), tf.zeros(b), tf.zeros(bias))
    call = tf.function(
        lambda *given: custom_ops.matrix_mult(*given), input_signature=[tf.TensorSpec(None, tf.float32)] * 3
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"shape \[{a[0]}.* and b of shape \[{b[0]}"):
        call(tf.zeros(a), tf.zeros(b), tf.zeros(bias))
    with tf.Graph().as_default(), pytest.raises(ValueError, match="MatrixMult"):
        library.load().matrix_mult(tf.zeros(a), tf.zeros(b), [tf.zeros(bias)])


def test_mixed_dtypes_and_unknown_activations_are_refused() -> None:
    a, b, bias = factors(2, 3, 4)
    with pytest.raises(ValueError, match="Received: float32, bfloat16, float32"):
        custom_ops.matrix_mult(a, tf.cast(b, tf.bfloat16), bias)
    with pytest.raises(ValueError, match="activation='tanh'"):
        custom_ops.matrix_mult(a, b, activation="tanh")


def test_shape_function_infers_what_can_be_known() -> None:
    specs = [tf.TensorSpec([None, 3, None]), tf.TensorSpec([None, 5]), tf.TensorSpec([None])]
    function = tf.function(lambda *given: custom_ops.matrix_mult(*given)).get_concrete_function(*specs)
    assert function.outputs[0].shape.as_list() == [None, 3, 5]
