"""A model built again from plain layers: BatchNormalization folded, with or without rounding in the forward pass."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.quantizer.qat.layers import ROUNDED, FakeQuant, RoundedKernel, rounded
from components.quantizer.qat.plan import Range, Step, has_kernel, plan
from components.quantizer.representative import Representative
from components.trainer.model import as_input
from lineage.outcome import InputError


@dataclasses.dataclass(frozen=True)
class Rounding:
    """What is rounded in the forward pass: kernels to so many bits, None for not at all, and activations to 8 bits."""

    bits: int | None
    activations: bool


def rebuild(model: keras.Model, inputs: Mapping[str, tf.TensorSpec], rounding: Rounding) -> keras.Model:
    """The model with every BatchNormalization folded, and rounded as it says; its weights are new.

    Args:
      model: A Sequential or functional model.
      inputs: What it takes, `[batch, ...]` by name.
      rounding: What is rounded.

    Raises:
      InputError: the model is subclassed, or has a layer that cannot be treated so; the message names it.
    """
    original = _functional(model, inputs)
    rebuilding = _Rebuilding(plan(original), rounding)
    return keras.models.clone_model(original, clone_function=lambda layer: layer, call_function=rebuilding.call)


def fold(model: keras.Model, inputs: Mapping[str, tf.TensorSpec], rebuilt: keras.Model) -> None:
    """Gives `rebuilt` the weights of the model that it is a rebuilding of; ranges of activations stay as they are."""
    for step in plan(_functional(model, inputs)):
        layer = step.operation
        if not has_kernel(layer):
            continue
        weights = layer.get_weights() if step.normalization is None else _folded(layer, step.normalization)
        if isinstance(layer, keras.layers.SeparableConv2D):
            rebuilt.get_layer(_depthwise(layer)).set_weights(weights[:1])
            weights = weights[1:]
        rebuilt.get_layer(layer.name).set_weights(weights)


def calibrate(rebuilt: keras.Model, examples: Representative) -> None:
    """Sets the ranges of the activations to what the examples reach."""
    ranges = [layer for layer in rebuilt.layers if isinstance(layer, FakeQuant)]
    for each in ranges:
        each.calibrating = True
    # What is traced now sets ranges; what is traced later rounds.
    answer = tf.function(lambda features: rebuilt(as_input(features), training=False), reduce_retracing=True)
    for example in examples():
        answer({name: tf.constant(column) for name, column in example.items()})
    for each in ranges:
        each.calibrating = False


def bake(trained: keras.Model, bits: int, plain: keras.Model) -> None:
    """Gives `plain`, rebuilt with kernels that are not rounded, the weights of `trained` with the kernels rounded.

    A converter that quantizes them takes the greatest of a channel for its scale, and so finds the same numbers. It
    need not know of channels that are rounded apart, which it refuses in a dense layer.

    Args:
      trained: The same model rebuilt with rounding or without.
      bits: What its kernels are rounded to.
      plain: What is to be converted.
    """
    for layer in trained.layers:
        weights = layer.get_weights()
        kind = ROUNDED.get(type(layer), type(layer))
        if issubclass(kind, RoundedKernel):
            weights[0] = np.asarray(rounded(weights[0], bits, kind.axes))
            if isinstance(layer, RoundedKernel) and layer.bias is not None:
                weights[1] = np.asarray(layer.bias)
        plain.get_layer(layer.name).set_weights(weights)


class _Rebuilding:
    """Makes the layers when the original ones are called."""

    def __init__(self, steps: list[Step], rounding: Rounding):
        self._steps, self._rounding = iter(steps), rounding
        self._made: dict[str, keras.Layer] = {}
        self._inputs: dict[int, Any] = {}
        self._ranges: dict[int, FakeQuant] = {}  # by the id of a tensor that is within it
        self._named: collections.Counter[str] = collections.Counter()

    def call(self, operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        """What takes the place of a call of the original."""
        step = next(self._steps)
        assert step.operation is operation
        if step.dropped:
            return args[0]
        args, kwargs = keras.tree.map_structure(self._input, (args, kwargs))
        outputs = self._called(step, *args, **kwargs)
        if step.apart is not None:
            activation = keras.layers.Activation(step.apart, name=self._numbered(f"{operation.name}_activation"))
            outputs = activation(self._rounded(outputs, operation.name))
        return self._in_range(step, keras.tree.flatten((args, kwargs))[0], outputs)

    def _called(self, step: Step, *args: Any, **kwargs: Any) -> Any:
        layer = step.operation
        if isinstance(layer, keras.layers.SeparableConv2D):
            first, second = _of_separable(layer, step)
            name = first["name"]
            between = self._layer(name, keras.layers.DepthwiseConv2D, first, args[0])(*args, **kwargs)
            between = self._rounded(between, name)
            return self._layer(layer.name, keras.layers.Conv2D, second, between)(between)
        if isinstance(layer, keras.layers.Rescaling):  # two operations, and so two ranges
            scaled = keras.layers.Rescaling(layer.scale, name=f"{layer.name}_scale", dtype=layer.dtype_policy)(*args)
            return self._rounded(scaled, f"{layer.name}_scale") + layer.offset if np.any(layer.offset) else scaled
        if not has_kernel(layer):
            return layer(*args, **kwargs)
        return self._layer(layer.name, type(layer), _config(layer, step), args[0])(*args, **kwargs)

    def _layer(self, name: str, kind: type, config: dict[str, Any], taken: Any) -> keras.Layer:
        """Of a layer that is called more than once, what it takes first has the range by which its bias is rounded."""
        if name not in self._made:
            bits = self._rounding.bits
            if bits and kind in ROUNDED:
                before = self._ranges.get(id(taken))
                kind, config = ROUNDED[kind], {**config, "bits": bits, "taken": before and before.bounds}
            self._made[name] = kind.from_config(config)  # type: ignore[attr-defined]
        return self._made[name]

    def _input(self, given: Any) -> Any:
        """Inputs of the model with their range, in the place of the inputs."""
        history = getattr(given, "_keras_history", None)
        if history is None or not isinstance(history.operation, keras.layers.InputLayer):
            return given
        if id(given) not in self._inputs:
            self._inputs[id(given)] = self._rounded(given, history.operation.name)
        return self._inputs[id(given)]

    def _in_range(self, step: Step, given: Any, outputs: Any) -> Any:
        before = self._ranges.get(id(given))
        match step.range:
            case Range.OWN:
                return self._rounded(outputs, step.operation.name)
            case (least, greatest):
                return self._rounded(outputs, step.operation.name, (least, greatest))
            case Range.AS_BEFORE if before is not None:
                return keras.tree.map_structure(lambda tensor: self._within(before, tensor), outputs)
        if before is not None and step.apart is None:
            self._ranges |= {id(tensor): before for tensor in keras.tree.flatten(outputs)}
        return outputs

    def _rounded(self, outputs: Any, name: str, bounds: tuple[float, float] | None = None) -> Any:
        """One tensor or several, each rounded over a new range if it is not of whole numbers."""

        def one(tensor: Any) -> Any:
            if not self._rounding.activations or not tf.as_dtype(tensor.dtype).is_floating:
                return tensor
            return self._within(FakeQuant(bounds, name=self._numbered(f"{name}_range")), tensor)

        return keras.tree.map_structure(one, outputs)

    def _within(self, range_: FakeQuant, tensor: Any) -> Any:
        output = range_(tensor)
        self._ranges[id(output)] = range_
        return output

    def _numbered(self, name: str) -> str:
        """A layer that is shared has a range for each of its calls."""
        self._named[name] += 1
        return name if self._named[name] == 1 else f"{name}_{self._named[name]}"


def _functional(model: keras.Model, inputs: Mapping[str, tf.TensorSpec]) -> keras.Model:
    if isinstance(model, keras.Sequential) and not model.built:
        model(as_input({name: keras.Input(spec.shape[1:], dtype=spec.dtype) for name, spec in inputs.items()}))
    if not getattr(model, "inputs", None):
        raise InputError(
            f"The model {model.name} ({type(model).__name__}) is a subclass of keras.Model, whose layers quantization-"
            "aware training cannot see; expected a Sequential or functional model. Write build_model with "
            "keras.Model(inputs, outputs), or set quantizer.mode to int8 or dynamic, which train nothing."
        )
    if isinstance(model, keras.Sequential):  # it has no `input` before it is called
        return keras.Model(*model.inputs, *model.outputs)
    return keras.Model(model.input, model.output)


def _config(layer: keras.Layer, step: Step) -> dict[str, Any]:
    config = layer.get_config()
    if step.normalization is not None:
        config["use_bias"] = True
    if step.apart is not None:
        config["activation"] = "linear"
    return dict(config)


def _depthwise(layer: keras.Layer) -> str:
    return f"{layer.name}_depthwise"


def _of_separable(layer: keras.layers.SeparableConv2D, step: Step) -> tuple[dict[str, Any], dict[str, Any]]:
    """Configs of the DepthwiseConv2D and the Conv2D that it is."""
    config = _config(layer, step)
    common = {"dtype": config["dtype"], "data_format": config["data_format"]}
    spatial = {name: config[name] for name in ("kernel_size", "strides", "padding", "dilation_rate")}
    first = {**common, **spatial, "depth_multiplier": config["depth_multiplier"], "use_bias": False}
    second = {name: config[name] for name in ("name", "filters", "activation", "use_bias")}
    return {**first, "name": _depthwise(layer)}, {**common, **second, "kernel_size": 1}


def _folded(layer: keras.Layer, normalization: keras.layers.BatchNormalization) -> list[NDArray[Any]]:
    """Kernel(s) and bias of layer and BatchNormalization as one: `scale * (kernel x + bias - mean) + beta`."""
    weights = [np.asarray(each, np.float64) for each in layer.get_weights()]
    kernels, bias = (weights[:-1], weights[-1]) if layer.use_bias else (weights, 0.0)
    gamma, beta = (
        np.asarray(each, np.float64) if each is not None else start
        for each, start in ((normalization.gamma, 1.0), (normalization.beta, 0.0))
    )
    statistics = (normalization.moving_mean, normalization.moving_variance)
    mean, variance = (np.asarray(each, np.float64) for each in statistics)
    scale = gamma / np.sqrt(variance + normalization.epsilon)
    kernel = kernels[-1]
    by_channel = scale.reshape(kernel.shape[2:]) if isinstance(layer, keras.layers.DepthwiseConv2D) else scale
    return [*kernels[:-1], kernel * by_channel, (bias - mean) * scale + beta]
