"""What becomes of each layer of a model when its kernels are rounded: which are folded, which output needs a range.

Ranges are where TFLite has tensors: not between a layer and an activation that its kernel has built in, the same behind
an operation that moves numbers as before it, and a fixed one where TFLite prescribes it (sigmoid).
"""

import collections
import dataclasses
import enum
from typing import Any

import keras

from components.quantizer.qat.layers import ROUNDED
from lineage.outcome import InputError

_FUSED = {"relu", "relu6", "Relu", "Relu6"}  # that a kernel has built in, as function and as operation
_SHARES, _SIGNED = (0.0, 255 / 256), (-1.0, 127 / 128)  # the least and the greatest that TFLite prescribes
_FIXED = {
    "softmax": _SHARES,
    "sigmoid": _SHARES,
    "tanh": _SIGNED,
    "Softmax": _SHARES,
    "Sigmoid": _SHARES,
    "Tanh": _SIGNED,
}
_WITH_ACTIVATION = {"Add", "Subtract", "Multiply", "SeparableConv2D", *(kind.__name__ for kind in ROUNDED)}
_IN_TRAINING_ONLY = {
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity",
    "SpatialDropout1D", "SpatialDropout2D",
}  # fmt: skip
_MOVES = {
    "AveragePooling1D", "AveragePooling2D", "Cropping1D", "Cropping2D", "ExpandDims", "Flatten", "GetItem",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "MaxPooling1D", "MaxPooling2D", "Permute", "RepeatVector", "Reshape",
    "Resizing", "Squeeze", "Transpose", "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D",
}  # fmt: skip
_INSTEAD = "Set quantizer.mode to int8 or dynamic, which train nothing."


class Range(enum.Enum):
    """By what the output of an operation is rounded."""

    OWN = enum.auto()  # a range of its own
    AS_BEFORE = enum.auto()  # that of its input
    NONE = enum.auto()  # nothing: it is the input again when nothing is trained, or rounded by what is behind it


@dataclasses.dataclass(frozen=True)
class Step:
    """A call of an operation.

    Attributes:
      operation: A layer, or an operation of keras.ops.
      normalization: The BatchNormalization behind it that is folded into its kernel and bias.
      dropped: Whether it is such a BatchNormalization.
      apart: The layer's own activation, where it is an operation of its own in the file.
      range: By what its output is rounded; a pair is the least and the greatest of a range that is not trained.
    """

    operation: keras.Operation
    normalization: keras.layers.BatchNormalization | None
    dropped: bool
    apart: Any
    range: Range | tuple[float, float]


def has_kernel(operation: keras.Operation) -> bool:
    """Whether it is a layer whose kernel is rounded."""
    return type(operation) in (*ROUNDED, keras.layers.SeparableConv2D)


def plan(model: keras.Model) -> list[Step]:
    """The calls of a functional model in the order in which `keras.models.clone_model` makes them.

    Raises:
      InputError: a layer has weights of which it is not known how a TFLite file rounds them; the message names it.
    """
    graph = _Graph(model)
    steps = [graph.step(node) for node in graph.nodes]
    for step in steps:
        _check(step)
    return steps


class _Graph:
    """The calls of a model, which of them take what another gives, and which are folded into which."""

    def __init__(self, model: keras.Model):
        by_depth = model._nodes_by_depth
        self.nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]
        self._outputs = {id(tensor) for tensor in model.outputs}
        self._consumers: dict[int, list[Any]] = {}  # by the id of a tensor
        for node in self.nodes:
            for tensor in {id(tensor) for tensor in node.input_tensors}:
                self._consumers.setdefault(tensor, []).append(node)
        self._calls = collections.Counter(id(node.operation) for node in self.nodes)
        self._folded = {id(node): behind for node in self.nodes if (behind := self._foldable(node)) is not None}
        self._dropped = {id(behind) for behind in self._folded.values()}

    def step(self, node: Any) -> Step:
        """What becomes of a call."""
        operation, behind = node.operation, self._folded.get(id(node))
        own = operation.activation if has_kernel(operation) else None
        fused = () if _is_dilated(operation) else _FUSED
        apart = None if _name(own) in ("linear", *fused, "") else own
        return Step(
            operation=operation,
            normalization=behind.operation if behind else None,
            dropped=id(node) in self._dropped,
            apart=apart,
            range=self._range(node, behind or node, apart),
        )

    def _range(self, node: Any, last: Any, apart: Any) -> Range | tuple[float, float]:
        operation = node.operation
        kind = type(operation).__name__
        named = apart or (operation.activation if isinstance(operation, keras.layers.Activation) else type(operation))
        if _name(named) in _FIXED:
            return Range.NONE if self._is_output(node) else _FIXED[_name(named)]  # a loss takes no logarithm of 0
        if kind in _MOVES:
            return Range.AS_BEFORE
        only_in_training = kind in _IN_TRAINING_ONLY or kind.startswith("Random") or _name(named) == "linear"
        return Range.NONE if only_in_training or self._is_rounded_behind(node, last) else Range.OWN

    def _is_rounded_behind(self, node: Any, last: Any) -> bool:
        """Whether a concatenation alone takes `last`, or an activation that the kernel of `node` has built in."""
        operation, after = node.operation, self._behind(last)
        if len(after) != 1 or self._is_output(last):
            return False
        linear = _name(getattr(operation, "activation", None)) in ("linear", "") and not _is_dilated(operation)
        built_in = type(operation).__name__ in _WITH_ACTIVATION and linear and _is_fused(after[0].operation)
        return built_in or type(after[0].operation).__name__ == "Concatenate"

    def _foldable(self, node: Any) -> Any:
        """The call of the BatchNormalization that can be folded into this one."""
        after = self._behind(node)
        if not has_kernel(node.operation) or _name(node.operation.activation) != "linear" or len(after) != 1:
            return None
        behind = after[0]
        normalizes = type(behind.operation) is keras.layers.BatchNormalization and _over_channels(behind)
        once = self._calls[id(node.operation)] == self._calls[id(behind.operation)] == 1
        return behind if normalizes and once and not self._is_output(node) else None

    def _behind(self, node: Any) -> list[Any]:
        return [other for tensor in node.outputs for other in self._consumers.get(id(tensor), [])]

    def _is_output(self, node: Any) -> bool:
        return any(id(tensor) in self._outputs for tensor in node.outputs)


def _over_channels(node: Any) -> bool:
    axis = node.operation.axis
    return bool(axis in (-1, len(node.input_tensors[0].shape) - 1))


def _is_dilated(operation: keras.Operation) -> bool:
    """TFLite computes a dilated convolution between two transpositions, behind which nothing is built in."""
    return any(rate != 1 for rate in getattr(operation, "dilation_rate", ()))


def _is_fused(operation: keras.Operation) -> bool:
    if isinstance(operation, keras.layers.ReLU):
        plain = not operation.negative_slope and not operation.threshold
        return plain and operation.max_value in (None, 6)
    named = operation.activation if isinstance(operation, keras.layers.Activation) else type(operation)
    return _name(named) in _FUSED


def _name(function: Any) -> str:
    return getattr(function, "__name__", "")


def _check(step: Step) -> None:
    operation = step.operation
    if isinstance(operation, keras.Model):
        raise InputError(
            f"The layer {operation.name} is a model of its own; quantization-aware training takes one model of plain "
            "layers. In build_model go on from its output (base.output) and return keras.Model(base.input, ...). "
            f"{_INSTEAD}"
        )
    if step.dropped or has_kernel(operation) or not getattr(operation, "weights", []):
        return
    if isinstance(operation, keras.layers.BatchNormalization):
        raise InputError(
            f"The BatchNormalization {operation.name} cannot be folded: expected it to take alone what a convolution "
            f"or dense layer without an activation gives, over the channels. {_INSTEAD}"
        )
    known = ", ".join(sorted(kind.__name__ for kind in ROUNDED))
    raise InputError(
        f"Quantization-aware training does not know how the weights of the layer {operation.name} "
        f"({type(operation).__name__}) are rounded, only those of {known} and SeparableConv2D. {_INSTEAD}"
    )
