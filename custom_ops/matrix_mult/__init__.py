"""Matrix product with bias and activation in one pass."""

from custom_ops.matrix_mult.layer import FusedDense
from custom_ops.matrix_mult.op import matrix_mult

__all__ = ["FusedDense", "matrix_mult"]
