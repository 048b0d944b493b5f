"""Dense and Embedding layers whose weight lies in parts on several devices, cut along its last axis.

Columns, of an Embedding too: each device then has a part of every row, so that it works as much as the others whatever
ids are frequent, and looks up only what is asked for, with no sorting of ids by device.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from components.parallel.devices import checked, initialize_on, local_devices, variables_on
from components.parallel.gradients import run_on
from components.parallel.hybrid import check_strategy
from components.parallel.ordinary import mark_part, wants_ordinary_layers
from lineage.outcome import InputError

_OF_THE_WHOLE = ("kernel_constraint", "bias_constraint", "embeddings_constraint", "lora_rank", "quantization_config")
_REGULARIZERS = ("kernel_regularizer", "bias_regularizer", "embeddings_regularizer")
_BY_ELEMENT = (type(None), keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)


def sharded(layer: keras.Layer, devices: Sequence[str] | None = None) -> keras.Layer:
    """Cuts the weights of a Dense or an Embedding into parts on several devices, each with its work and its gradient.

    Args:
      layer: One that is not built. Its first weights are those that it would have had.
      devices: Such as `["GPU:0", "GPU:1"]`; default: all of this process, its GPUs or else its logical CPUs. The first
        of them, where there are more than columns.

    Returns:
      A layer that takes and gives what `layer` does.

    Raises:
      InputError: another kind of layer, one that is built, one whose weights are constrained, regularized or adapted as
        a whole, a device that is not there, or a strategy that cannot shard it.

    Example:
      x = sharded(layers.Embedding(1_000_000, 256))(ids)
      x = sharded(layers.Dense(50_000, activation="softmax"), ["GPU:0", "GPU:1"])(x)
    """
    if wants_ordinary_layers():
        return layer
    check_strategy()
    if type(layer) is layers.Dense:
        return ShardedDense(layer, devices)
    if type(layer) is layers.Embedding:
        return ShardedEmbedding(layer, devices)
    raise InputError(f"sharded() was given a layer of type {type(layer).__name__}; expected a Dense or an Embedding.")


class _Sharded(layers.Wrapper):
    """What both have in common: the layer inside gives settings and initializers, and has no variables itself."""

    def __init__(self, layer: keras.Layer, devices: Sequence[str] | None = None, **kwargs: Any):
        _check(layer)
        same = {name: getattr(layer, name) for name in ("name", "trainable", "activity_regularizer", "autocast")}
        super().__init__(layer, **{**same, "dtype": layer.dtype_policy, **kwargs})
        self.supports_masking = layer.supports_masking
        self.supports_jit = False  # XLA compiles for one device
        self._given = None if devices is None else [*devices]
        self._devices = local_devices() if devices is None else [checked(device) for device in devices]

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """As the layer does."""
        return self.layer.compute_mask(inputs, previous_mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As the layer does."""
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The layer's, and the devices as they were given."""
        return {**super().get_config(), "devices": self._given}

    def _add_parts(self, name: str, shape: tuple[int, ...], initializer: Any, regularizer: Any) -> list[keras.Variable]:
        columns = np.array_split(np.arange(shape[-1]), min(len(self._devices), shape[-1]))
        parts = []
        for number, (device, of_part) in enumerate(zip(self._devices, columns, strict=False)):
            with variables_on(device):
                part = self.add_weight(
                    name=f"{name}_{number}",
                    shape=(*shape[:-1], len(of_part)),
                    initializer=functools.partial(_part, initializer, shape, int(of_part[0])),
                    regularizer=regularizer,
                )
            initialize_on(device, [part])
            parts.append(part)
        mark_part(parts[0], len(parts))
        return parts

    def _concatenated(self, of_part: Callable[..., Any], inputs: Any, *parts: list[keras.Variable]) -> Any:
        """`of_part(inputs, *variables)` for each part on its device, side by side."""
        outputs = [
            run_on(device, lambda x, variables=variables: of_part(x, *variables), inputs)
            for device, *variables in zip(self._devices, *parts, strict=False)
        ]
        return ops.concatenate(outputs, axis=-1)


@keras.saving.register_keras_serializable("slipway")
class ShardedDense(_Sharded):
    """What `sharded` makes of a Dense: each device multiplies with its columns of the kernel and adds its biases."""

    def build(self, input_shape: Any) -> None:
        """Makes the parts."""
        layer = self.layer
        kernel_shape = (input_shape[-1], layer.units)
        self._kernels = self._add_parts("kernel", kernel_shape, layer.kernel_initializer, layer.kernel_regularizer)
        self._biases: list[keras.Variable] = []
        if layer.use_bias:
            self._biases = self._add_parts("bias", (layer.units,), layer.bias_initializer, layer.bias_regularizer)

    def call(self, inputs: Any) -> Any:
        """`[..., n]` to `[..., units]`."""
        parts = [self._kernels, self._biases] if self._biases else [self._kernels]
        outputs = self._concatenated(_affine, inputs, *parts)
        return outputs if self.layer.activation is None else self.layer.activation(outputs)


@keras.saving.register_keras_serializable("slipway")
class ShardedEmbedding(_Sharded):
    """What `sharded` makes of an Embedding: each device looks up its columns of the rows that are asked for."""

    def build(self, input_shape: Any = None) -> None:
        """Makes the parts."""
        layer = self.layer
        shape = (layer.input_dim, layer.output_dim)
        self._embeddings = self._add_parts(
            "embeddings", shape, layer.embeddings_initializer, layer.embeddings_regularizer
        )

    def call(self, inputs: Any) -> Any:
        """Ids `[...]` to `[..., output_dim]`."""
        ids = inputs if inputs.dtype in (tf.int32, tf.int64) else ops.cast(inputs, "int32")
        return ops.cast(self._concatenated(_looked_up, ids, self._embeddings), self.compute_dtype)


def _check(layer: keras.Layer) -> None:
    whole = [name for name in _OF_THE_WHOLE if getattr(layer, name, None) is not None]
    whole += [name for name in _REGULARIZERS if type(getattr(layer, name, None)) not in _BY_ELEMENT]
    if whole:
        raise InputError(
            f"The layer {layer.name!r} has {', '.join(whole)}, which needs the weight as a whole. To be sharded, it "
            "can have a regularizer L1, L2 or L1L2, and nothing more."
        )
    if layer.built:
        raise InputError(f"The layer {layer.name!r} is built already; shard it before it is built or called.")


def _part(initializer: Callable[..., Any], whole: tuple[int, ...], first: int, shape: Any, dtype: Any = None) -> Any:
    """Columns of what the initializer draws for the whole weight, in host memory: no device may be able to hold it."""
    with tf.device("CPU:0"):
        return initializer(whole, dtype=dtype)[..., first : first + shape[-1]]


def _affine(inputs: Any, kernel: keras.Variable, bias: keras.Variable | None = None) -> Any:
    outputs = ops.matmul(inputs, kernel)
    return outputs if bias is None else ops.add(outputs, bias)


def _looked_up(ids: Any, embeddings: keras.Variable) -> Any:
    return ops.take(embeddings, ids, axis=0)
