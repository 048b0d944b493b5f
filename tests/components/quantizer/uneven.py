"""A trained model whose channels are made to differ in their ranges, without a change of what it answers."""

import keras
import numpy as np
from keras import layers


def make_uneven(model: keras.Model, ratio: float) -> None:
    """Multiplies the channels behind each BatchNormalization by factors whose extremes have that ratio, and undoes it.

    What takes them, the next layer with a kernel, divides by the same factors: with relu between, and no pooling but
    that of the greatest or the mean, nothing else changes.

    Args:
      model: A stack of convolutions, each with a BatchNormalization, and a dense layer at its end.
      ratio: Of the largest factor to the smallest, of each layer.
    """
    random = np.random.default_rng(1)
    stack = [layer for layer in model.layers if layer.weights]
    for behind, following in zip(stack[1::2], stack[2::2], strict=True):
        assert isinstance(behind, layers.BatchNormalization), behind.name
        gamma, beta, *statistics = behind.get_weights()
        factors = ratio ** np.linspace(-0.5, 0.5, len(gamma), dtype=np.float32)[random.permutation(len(gamma))]
        behind.set_weights([gamma * factors, beta * factors, *statistics])
        kernel, *bias = following.get_weights()
        following.set_weights([kernel / factors[:, None], *bias])
