"""MatrixMult by its definition, in float64, and how near to it a result must be."""

import numpy as np
import tensorflow as tf

ACTIVATIONS = ("none", "relu", "gelu")
DTYPES = ("float32", "bfloat16")
UNIT = {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}


def factors(m: int, k: int, n: int, dtype: str = "float32", batch: tuple[int, ...] = ()) -> list[tf.Tensor]:
    random = np.random.default_rng([m, k, n])
    shapes = ((*batch, m, k), (k, n), (n,))
    return [tf.cast(random.normal(size=shape).astype(np.float32), dtype) for shape in shapes]


def gelu(z: np.ndarray) -> np.ndarray:
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def activated(z: np.ndarray, activation: str) -> np.ndarray:
    return {"none": z, "relu": np.maximum(z, 0), "gelu": gelu(z)}[activation]


def slope(z: np.ndarray, c: np.ndarray, activation: str) -> np.ndarray:
    """The derivative of an activation at z, by differences of 1e-6; of relu where c, the result, says that it has one:
    near zero the sign of z is a matter of rounding.
    """
    width = 1e-6
    of_gelu = (gelu(z + width) - gelu(z - width)) / (2 * width)
    return {"none": np.ones_like(z), "relu": c > 0, "gelu": of_gelu}[activation]


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
    expected = activated(z, activation)
    magnitudes = np.abs(a) @ np.abs(b) + np.abs(bias)
    tolerance = 1.2 * (a.shape[-1] + 8) * UNIT["float32"] * magnitudes + 2 * UNIT[found.dtype.name] * np.abs(expected)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.where(finite, 0, exact(found)), np.where(finite, 0, expected))
    error = np.abs(exact(found) - expected) / (tolerance + 1e-30)
    assert (error <= 1)[finite].all(), f"largest: {error[finite].max()} of what is allowed"
