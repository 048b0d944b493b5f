"""Layers whose kernels are rounded as the quantized file will hold them, and the layer that rounds activations.

The gradient passes through the rounding as if it were not there (the straight-through estimator), and is 0 where an
activation lies outside its range: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018. Ranges are trained too, by what clipping and rounding cost: Esser et al.,
"Learned Step Size Quantization", ICLR 2020; and in the logarithm, so that a step changes each by a share: Jain et al.,
"Trained Quantization Thresholds for Accurate and Efficient Fixed-Point Inference of Deep Neural Networks", MLSys 2020.
Moving averages would depend on the micro-batches that a step is cut into; these do not.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import custom_ops

_SMALLEST_RANGE = 1e-6


class FakeQuant(keras.layers.Layer):
    """Rounds activations of any shape to 8 bits over a range that holds 0, as TFLite requires.

    The range is what the layer has seen while `calibrating` is set, when it rounds nothing; then it is trained.

    Args:
      bounds: The least and the greatest of a range that is given, and not trained.
    """

    def __init__(self, bounds: tuple[float, float] | None = None, **options: Any):
        super().__init__(**options)
        self._least, self._greatest = (
            self._variable(name, initial) for name, initial in zip(("least", "greatest"), bounds or (0, 0), strict=True)
        )
        # Logarithms of what both are multiplied by.
        self._stretch = self._variable("stretch", [0, 0], trainable=bounds is None)
        self.calibrating = False
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        values = tf.cast(inputs, tf.float32)
        if self.calibrating:
            self._least.assign(tf.minimum(self._least, tf.reduce_min(values)))
            self._greatest.assign(tf.maximum(self._greatest, tf.reduce_max(values)))
            return inputs
        least, greatest = self.bounds()
        outputs = tf.quantization.fake_quant_with_min_max_vars(values, least, greatest, num_bits=8)
        if training:  # the same numbers, whose error grows with the step
            clipped, step = tf.clip_by_value(values, least, greatest), (greatest - least) / 255
            outputs = clipped + step * tf.stop_gradient((outputs - clipped) / step)
        return tf.cast(outputs, inputs.dtype)

    def bounds(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The least and the greatest of the range, float32."""
        down, up = tf.unstack(tf.exp(tf.convert_to_tensor(self._stretch)))
        least = down * tf.convert_to_tensor(self._least)
        return least, tf.maximum(up * tf.convert_to_tensor(self._greatest), least + _SMALLEST_RANGE)

    def compute_output_spec(self, inputs: Any) -> Any:
        """That of the inputs."""
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def _variable(self, name: str, initial: Any, trainable: bool = False) -> keras.Variable:
        return self.add_weight(
            shape=np.shape(initial),
            initializer=keras.initializers.Constant(initial),
            trainable=trainable,
            autocast=False,
            name=name,
            dtype="float32",
        )


def rounded(kernel: Any, bits: int, axes: tuple[int, ...]) -> tf.Tensor:
    """The kernel as the file will hold it, symmetric: `2**bits - 1` numbers a channel; its gradient is that of itself.

    Args:
      kernel: Weights of any shape.
      bits: 8 or 4.
      axes: Those over which there is one scale.

    Returns:
      float32.
    """
    weights = tf.cast(kernel, tf.float32)
    return _to_multiples(weights, _scale(weights, bits, axes))


def _scale(weights: tf.Tensor, bits: int, axes: tuple[int, ...]) -> tf.Tensor:
    greatest = tf.reduce_max(tf.abs(weights), axis=axes, keepdims=True)
    return tf.maximum(greatest, _SMALLEST_RANGE) / (2 ** (bits - 1) - 1)


def _to_multiples(values: tf.Tensor, unit: tf.Tensor) -> tf.Tensor:
    return values + tf.stop_gradient(tf.round(values / unit) * unit - values)


class RoundedKernel:
    """Mixed into a layer of Keras: computes with its kernel and bias rounded, from their float32 values.

    Args:
      bits: Of the kernel, which has a scale a channel.
      taken: What gives the range of what the layer takes: the file adds the bias to products of two whole numbers, in
        their unit. None: the bias is not rounded. (A function, since Keras would count a layer's weights twice.)
    """

    axes: tuple[int, ...]

    def __init__(self, *, bits: int, taken: Callable[[], tuple[tf.Tensor, tf.Tensor]] | None, **options: Any):
        super().__init__(**options)
        self._bits, self._taken = bits, taken

    @property
    def kernel(self) -> tf.Tensor:
        """The kernel rounded; the variable, which is trained, is not."""
        return tf.cast(rounded(self._kernel._value, self._bits, self.axes), self._kernel.dtype)

    @kernel.setter
    def kernel(self, variable: keras.Variable) -> None:
        self._kernel = variable

    @property
    def bias(self) -> Any:
        """The bias rounded, where there is one."""
        if self._bias is None or self._taken is None:
            return self._bias
        bias = tf.convert_to_tensor(self._bias._value)
        least, greatest = self._taken()
        unit = tf.reshape(_scale(self._kernel._value, self._bits, self.axes), bias.shape) * (greatest - least) / 255
        return tf.cast(_to_multiples(bias, tf.stop_gradient(unit)), self._bias.dtype)

    @bias.setter
    def bias(self, variable: keras.Variable | None) -> None:
        self._bias = variable

    def save_own_variables(self, store: Any) -> None:
        """As any layer does: those of Keras with a kernel would save the bias rounded."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        """As any layer does."""
        keras.layers.Layer.load_own_variables(self, store)


class RoundedConv1D(RoundedKernel, keras.layers.Conv1D):
    """Kernel `[width, in, out]`."""

    axes = (0, 1)


class RoundedConv2D(RoundedKernel, keras.layers.Conv2D):
    """Kernel `[height, width, in, out]`."""

    axes = (0, 1, 2)


class RoundedDepthwiseConv2D(RoundedKernel, keras.layers.DepthwiseConv2D):
    """Kernel `[height, width, in, multiplier]`, of which each of the last two is a channel."""

    axes = (0, 1)


class RoundedDense(RoundedKernel, keras.layers.Dense):
    """Kernel `[in, out]`."""

    axes = (0,)


class RoundedFusedDense(RoundedKernel, custom_ops.FusedDense):
    """Kernel `[in, out]`."""

    axes = (0,)


ROUNDED: dict[type, type[RoundedKernel]] = {
    keras.layers.Conv1D: RoundedConv1D,
    keras.layers.Conv2D: RoundedConv2D,
    keras.layers.DepthwiseConv2D: RoundedDepthwiseConv2D,
    keras.layers.Dense: RoundedDense,
    custom_ops.FusedDense: RoundedFusedDense,
}
