"""MatrixMult and its gradient on shapes, batches, transposes and dtypes of all kinds, against float64."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import custom_ops
from tests.custom_ops.product_reference import ACTIVATIONS, DTYPES, UNIT, assert_equal_to_reference, exact, slope


class Product(NamedTuple):
    """Factors as they stand in the product; `transposed` says which of them are given transposed."""

    a: tf.Tensor
    b: tf.Tensor
    bias: tf.Tensor | None
    transposed: tuple[bool, bool]

    def arguments(self) -> list[tf.Tensor]:
        factors = zip((self.a, self.b), self.transposed, strict=True)
        given = [tf.linalg.matrix_transpose(one) if transposed else one for one, transposed in factors]
        return given if self.bias is None else [*given, self.bias]

    def options(self) -> dict[str, Any]:
        return {"transpose_a": self.transposed[0], "transpose_b": self.transposed[1]}

    def in_float64(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return exact(self.a), exact(self.b), np.zeros(self.b.shape[-1]) if self.bias is None else exact(self.bias)

    def cast(self, dtype: str) -> "Product":
        bias = None if self.bias is None else tf.cast(self.bias, dtype)
        return self._replace(a=tf.cast(self.a, dtype), b=tf.cast(self.b, dtype), bias=bias)


@st.composite
def products(draw: st.DrawFn, rows: int, depth: int, columns: int) -> Product:
    """Of float32 matrices up to these sizes and from zero on, in batches that broadcast."""
    m, k, n = (draw(st.integers(0, largest)) for largest in (rows, depth, columns))
    least = draw(st.sampled_from([1, 1, 1, 0]))
    batches = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=least, max_side=3)).input_shapes
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = (*batches[0], m, k), (*batches[1], k, n), (n,)
    a, b, bias = (tf.constant(random.normal(size=shape).astype(np.float32)) for shape in shapes)
    return Product(a, b, bias if draw(st.booleans()) else None, draw(st.tuples(st.booleans(), st.booleans())))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(product=products(300, 900, 300))
def test_any_product_equals_the_float64_reference(product: Product, dtype: str, activation: str) -> None:
    product = product.cast(dtype)
    found = custom_ops.matrix_mult(*product.arguments(), activation=activation, **product.options())
    assert found.dtype == product.a.dtype
    assert_equal_to_reference(found, *product.in_float64(), activation)


def summed_to(shape: tf.TensorShape, array: np.ndarray) -> np.ndarray:
    """Over the batch dimensions by which a factor of this shape was repeated."""
    added = array.ndim - len(shape)
    repeated = [axis for axis in range(array.ndim - 2) if axis < added or shape[axis - added] == 1]
    return array.sum(axis=tuple(repeated), keepdims=True).reshape(shape)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@given(product=products(40, 60, 40), keep_slope=st.booleans())
def test_gradient_of_any_product_equals_the_float64_reference(
    product: Product, keep_slope: bool, dtype: str, activation: str
) -> None:
    """To the error of the sums in z and in the gradients, and a few roundings of slope, d_z and the gradients."""
    product = product.cast(dtype)
    given = product.arguments()
    with tf.GradientTape() as tape:
        tape.watch(given)
        c = custom_ops.matrix_mult(*given, activation=activation, keep_slope=keep_slope, **product.options())
    d_c = tf.cast(tf.random.stateless_normal(c.shape, seed=(0, 0)), dtype)
    found = tape.gradient(c, given, output_gradients=d_c)

    a, b, bias = product.in_float64()
    z = a @ b + bias
    d_z = exact(d_c) * slope(z, exact(c), activation)
    error_of_z = (a.shape[-1] + 8) * UNIT["float32"] * (np.abs(a) @ np.abs(b) + np.abs(bias))
    terms = int(np.prod(z.shape[:-2])) * max(z.shape[-2:])  # at most so many are added up
    error = np.abs(exact(d_c)) * (4 * UNIT[dtype] + terms * UNIT["float32"] + 2 * error_of_z * (activation == "gelu"))

    a_t, b_t = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)
    expected, allowed = (d_z @ b_t, a_t @ d_z), (error @ np.abs(b_t), np.abs(a_t) @ error)
    for place, factor in enumerate((a, b)):
        gradient = tf.linalg.matrix_transpose(found[place]) if product.transposed[place] else found[place]
        difference = np.abs(exact(gradient) - summed_to(factor.shape, expected[place]))
        np.testing.assert_array_less(difference, summed_to(factor.shape, allowed[place]) + 1e-30)
    if product.bias is not None:
        rows = tuple(range(d_z.ndim - 1))
        np.testing.assert_array_less(np.abs(exact(found[2]) - d_z.sum(axis=rows)), error.sum(axis=rows) + 1e-30)
