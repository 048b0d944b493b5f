"""What a split gives, and what it says of how it is read."""

from typing import NamedTuple

import tensorflow as tf


class Rows(NamedTuple):
    """Some examples: features `[m, ...]` by name, labels `[m]`, or `[m, k]` where each row has k, weights `[m]`.

    Weights are float32, or `()` where all weigh 1.
    """

    features: dict[str, tf.Tensor]
    labels: tf.Tensor
    weights: tf.Tensor | tuple[()] = ()

    @property
    def sample_weight(self) -> tf.Tensor | None:
        """The weights as Keras takes them."""
        return None if isinstance(self.weights, tuple) else self.weights


class Blocks(NamedTuple):
    """What is read at a time: blocks of `rows` neighbouring rows, and about `window` of them in memory."""

    rows: int
    window: int
