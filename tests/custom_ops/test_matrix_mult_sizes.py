"""MatrixMult where sums are put aside on the way, and where the result goes past the caches."""

import numpy as np
import pytest
import tensorflow as tf

import custom_ops
from tests.custom_ops.product_reference import ACTIVATIONS, DTYPES, assert_equal_to_reference, exact, factors


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_deep_product_equals_the_float64_reference(dtype: str, activation: str) -> None:
    a, b, bias = factors(27, 4500, 49, dtype)
    found = custom_ops.matrix_mult(a, b, bias, activation=activation)
    assert_equal_to_reference(found, exact(a), exact(b), exact(bias), activation)


@pytest.mark.parametrize("columns", [4112, 4099], ids=["rows on whole cache lines", "rows anywhere"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_result_is_that_of_its_parts_to_the_bit(dtype: str, columns: int) -> None:
    a, b, bias = factors(2050, 3, columns, dtype)
    with tf.GradientTape() as tape:
        tape.watch(bias)
        whole = custom_ops.matrix_mult(a, b, bias, activation="gelu", keep_slope=True)
    assert np.prod(whole.shape) * whole.dtype.size > 2**24
    parts = [custom_ops.matrix_mult(rows, b, bias, activation="gelu") for rows in tf.split(a, 10)]
    assert tf.reduce_all(whole == tf.concat(parts, 0))
    assert np.isfinite(tape.gradient(whole, bias)).all()
