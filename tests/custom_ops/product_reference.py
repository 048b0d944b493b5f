"""MatrixMult by its definition, in float64, and how near to it a result must be."""

import numpy as np
import tensorflow as tf

ACTIVATIONS = ("none", "relu", "gelu")
DTYPES = ("float32", "bfloat16")
UNIT = {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}


def gelu(z: np.ndarray) -> np.ndarray:
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def exact(tensor: tf.Tensor) -> np.ndarray:
    return tensor.numpy().astype(np.float64)


@np.errstate(all="ignore")
def assert_equal_to_reference(
    found: tf.Tensor, a: np.ndarray, b: np.ndarray, bias: np.ndarray | float, activation: str
) -> None:
    """Within the error of K sums in float32 (Higham, 2002, section 3.1: K u |a||b|), and of one rounding of the result.

    No activation here has a slope above 1.13. What is not finite must be the same.
    """
    z = a @ b + bias
    expected = {"none": z, "relu": np.maximum(z, 0), "gelu": gelu(z)}[activation]
    magnitudes = np.abs(a) @ np.abs(b) + np.abs(bias)
    tolerance = 1.2 * (a.shape[-1] + 8) * UNIT["float32"] * magnitudes + 2 * UNIT[found.dtype.name] * np.abs(expected)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.where(finite, 0, exact(found)), np.where(finite, 0, expected))
    error = np.abs(exact(found) - expected) / (tolerance + 1e-30)
    assert (error <= 1)[finite].all(), f"largest: {error[finite].max()} of what is allowed"
