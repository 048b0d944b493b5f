"""Label-smoothed softmax cross-entropy over sparse labels."""

from custom_ops.smoothed_softmax_xent.loss import SmoothedCrossentropy
from custom_ops.smoothed_softmax_xent.op import smoothed_softmax_xent

__all__ = ["SmoothedCrossentropy", "smoothed_softmax_xent"]
