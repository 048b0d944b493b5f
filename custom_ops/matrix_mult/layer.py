"""The Keras layer on the op MatrixMult."""

from typing import Any

import keras
import tensorflow as tf

from custom_ops.matrix_mult.op import DTYPES, Activation, matrix_mult


def gelu_tanh(x: Any) -> Any:
    """`keras.activations.gelu(x, approximate=True)`, by a name that can be saved."""
    return keras.activations.gelu(x, approximate=True)


FUSED: dict[Any, Activation] = {keras.activations.linear: "none", keras.activations.relu: "relu", gelu_tanh: "gelu"}


@keras.saving.register_keras_serializable(package="slipway")
class FusedDense(keras.layers.Dense):
    """`keras.layers.Dense` with product, bias and activation in one op; the same arguments, weights and results.

    An activation of None, "relu" or "gelu_tanh" is part of the op. "gelu_tanh" is the approximation of gelu by tanh;
    "gelu" is exact, as in Keras, and like every other activation runs after the op. Weights of a Dense load.

    Example:
        model = keras.Sequential([keras.Input((784,)), custom_ops.FusedDense(512, activation="gelu_tanh")])
    """

    def __init__(self, units: int, *, activation: Any = None, **options: Any) -> None:
        super().__init__(units, activation=gelu_tanh if activation == "gelu_tanh" else activation, **options)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if isinstance(inputs, tf.SparseTensor) or tf.as_dtype(self.compute_dtype) not in DTYPES:
            return super().call(inputs, training=training)
        fused = FUSED.get(self.activation)
        outputs = matrix_mult(inputs, self.kernel, self.bias, activation=fused or "none", keep_slope=bool(training))
        return outputs if fused else self.activation(outputs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "activation": "gelu_tanh"} if self.activation is gelu_tanh else config
