"""Work on a device whose gradient is computed there too.

`tf.device` alone places the forward pass: a GradientTape computes all gradients on the default device, so that weights
and activations would be copied there (https://github.com/tensorflow/tensorflow/issues/33688).
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def run_on(device: str, function: Callable[..., Any], *inputs: Any) -> Any:
    """`function(*inputs)`, with the work of the function and that of its gradient on a device.

    Args:
      device: A short name.
      function: May use variables. Gradients reach it through inputs and variables, not through tensors of its closure.
      inputs: Nested structures; tensors that are sparse or ragged keep their gradient on the default device.
    """
    flat = tf.nest.flatten(inputs)
    dense = [tensor for tensor in flat if isinstance(tensor, tf.Tensor)]
    with tf.device(device):
        if any(tf.is_tensor(value) and not isinstance(value, tf.Tensor) for value in flat):
            return function(*inputs)
        places = [number for number, value in enumerate(flat) if isinstance(value, tf.Tensor)]

        def of_dense(*tensors: tf.Tensor) -> Any:
            values = dict(zip(places, tensors, strict=True))
            given = [values.get(number, value) for number, value in enumerate(flat)]
            return function(*tf.nest.pack_sequence_as(inputs, given))

        return _with_gradient_on(device, of_dense)(*dense)


def _with_gradient_on(device: str, function: Callable[..., Any]) -> Any:
    @tf.custom_gradient
    def run(*inputs: tf.Tensor) -> tuple[Any, Callable[..., Any]]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([tensor for tensor in inputs if tensor.dtype.is_floating])
            outputs = function(*inputs)

        def gradient(*of_outputs: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> Any:
            with tf.device(device):
                found = tape.gradient(tf.nest.flatten(outputs), [*inputs, *variables], of_outputs)
                of_inputs = [None if one is None else tf.convert_to_tensor(one) for one in found[: len(inputs)]]
            of_variables = found[len(inputs) :]  # sparse where they are, which Keras' optimizers treat in another way
            return (of_inputs, of_variables) if variables else of_inputs

        return outputs, gradient

    return run
