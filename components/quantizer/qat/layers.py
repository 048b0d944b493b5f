"""Layers whose kernels are rounded as the quantized file will hold them, and the layer that rounds activations.

The gradient passes through the rounding as if it were not there (the straight-through estimator), and is 0 where an
activation lies outside its range: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018. Ranges are trained too, by what clipping and rounding cost: Esser et al.,
"Learned Step Size Quantization", ICLR 2020; and in the logarithm, so that a step changes each by a share: Jain et al.,
"Trained Quantization Thresholds for Accurate and Efficient Fixed-Point Inference of Deep Neural Networks", MLSys 2020.
Moving averages would depend on the micro-batches that a step is cut into; these do not.
"""

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
    steps = 2 ** (bits - 1) - 1
    weights = tf.cast(kernel, tf.float32)
    scale = tf.maximum(tf.reduce_max(tf.abs(weights), axis=axes, keepdims=True), _SMALLEST_RANGE) / steps
    return weights + tf.stop_gradient(tf.round(weights / scale) * scale - weights)


class RoundedKernel:
    """Mixed into a layer of Keras: computes with its kernel rounded to `bits`, a scale a channel."""

    axes: tuple[int, ...]

    def __init__(self, *, bits: int, **options: Any):
        super().__init__(**options)
        self._bits = bits

    @property
    def kernel(self) -> tf.Tensor:
        """The kernel rounded, from its float32 value whatever the policy; the variable, which is trained, is not."""
        return tf.cast(rounded(self._kernel._value, self._bits, self.axes), self._kernel.dtype)

    @kernel.setter
    def kernel(self, variable: keras.Variable) -> None:
        self._kernel = variable


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
