"""Whether MatrixMult's kernel for GPUs is used: on the GPU at hand it must have given the right numbers."""

import functools
import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from custom_ops import library, trial

# Rows, depth, columns: even, as tensor cores like them, odd, and without depth.
SIZES = [(24, 40, 16), (5, 7, 3), (4, 0, 8)]
# Batch dimensions of both factors: none, matrices at even steps, one for all, and at uneven steps.
BATCHES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), ()), ((3,), (3,)), ((3,), ()), ((2, 1), (1, 3))]
FLAGS = (False, True)
TOLERANCE = 2.0**-7  # bfloat16 rounds to 2^-8; a wrong element is whole numbers off


@functools.cache
def usable(dtype: tf.DType, activation: str) -> bool:
    """Tried when it is first asked, once in a process."""
    return trial.passes(f"MatrixMult ({dtype.name}, {activation})", lambda: _results(dtype, activation))


def _results(dtype: tf.DType, activation: str) -> trial.Results:
    """Of small whole numbers, which all dtypes hold, and a NaN, which must go on to its row and nowhere else."""
    ops: Any = library.load()
    random, slopes = np.random.default_rng(0), FLAGS if activation == "gelu" else (False,)
    choices = itertools.product(SIZES, BATCHES, FLAGS, FLAGS, FLAGS, slopes)
    for (m, k, n), (of_a, of_b), transpose_a, transpose_b, with_bias, with_slope in choices:
        shapes = (*of_a, m, k), (*of_b, k, n), (n,)
        a, b, bias = (random.integers(-2, 3, size=shape).astype(np.float32) for shape in shapes)
        a[..., 1, :1] = np.nan
        found = ops.matrix_mult(
            tf.cast(np.swapaxes(a, -1, -2) if transpose_a else a, dtype),
            tf.cast(np.swapaxes(b, -1, -2) if transpose_b else b, dtype),
            [tf.cast(bias, dtype)] if with_bias else [],
            activation=activation,
            transpose_a=transpose_a,
            transpose_b=transpose_b,
            with_slope=with_slope,
        )
        c, slope = _expected(a @ b + bias * with_bias, activation)
        what = f"a {a.shape}, b {b.shape}, transposed {transpose_a, transpose_b}, bias {with_bias}, slope {with_slope}"
        yield what, found.c, c, TOLERANCE
        if with_slope:
            yield what, found.slope, slope, TOLERANCE


def _expected(z: Any, activation: str) -> tuple[Any, Any]:
    """The activation of z, and the slope of gelu there."""
    x = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(x)
        gelu = tf.nn.gelu(x, approximate=True)
    return {"none": z, "relu": np.maximum(z, 0), "gelu": gelu}[activation], tape.gradient(gelu, x)
