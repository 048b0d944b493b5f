"""TensorFlow ops of our own, each with a twin in plain TensorFlow that gives the same numbers.

A call runs the op where its library was built and can run, else the twin; `composite()` asks for the twin, which is
what an exported model must hold so that it loads where this library does not exist.
"""

from custom_ops.library import available, composite, why_unavailable
from custom_ops.matrix_mult import FusedDense, matrix_mult
from custom_ops.smoothed_softmax_xent import SmoothedCrossentropy, smoothed_softmax_xent

__all__ = [
    "FusedDense",
    "SmoothedCrossentropy",
    "available",
    "composite",
    "matrix_mult",
    "smoothed_softmax_xent",
    "why_unavailable",
]
