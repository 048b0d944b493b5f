"""What a TFLite file says of its operations: which stay float and why, and which were not merged into the one before.

Reads the flatbuffer alone, by LiteRT's schema, and copies no weights.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from ai_edge_litert import schema_py_generated as schema

# Bring an integer input (an age, a count) to the scale of the model, or the answer to its own: no arithmetic.
_MOVES = {"CAST", "CONCATENATION", "DEQUANTIZE", "EXPAND_DIMS", "RESHAPE", "SQUEEZE"}
_LINEAR = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
_ACTIVATIONS = {"RELU", "RELU6", "RELU_N1_TO_1"}  # those that a kernel has built in
_AFFINE = {"ADD", "DIV", "MUL", "SUB"}  # what a BatchNormalization becomes
_PASSES_ON = {"BATCH_TO_SPACE_ND"}  # stands behind a dilated convolution
_OPTIONS = {
    schema.BuiltinOptions.Conv2DOptions: schema.Conv2DOptions,
    schema.BuiltinOptions.DepthwiseConv2DOptions: schema.DepthwiseConv2DOptions,
    schema.BuiltinOptions.FullyConnectedOptions: schema.FullyConnectedOptions,
    schema.BuiltinOptions.TransposeConvOptions: schema.TransposeConvOptions,
}
_OP_NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor; `constant` where its values are in the file. Its shape has 1 for a dimension that is dynamic."""

    name: str
    shape: tuple[int, ...]
    is_float: bool
    constant: bool


@dataclasses.dataclass(frozen=True)
class Op:
    """An operation by TFLite's name, with the numbers of its tensors; `activates` where an activation is built in."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activates: bool


@dataclasses.dataclass(frozen=True)
class Graph:
    """A graph of the file, its operations in the order in which they run."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    outputs: tuple[int, ...]

    def producer(self, tensor: int) -> Op | None:
        """What computes a tensor; None for inputs and constants."""
        return next((op for op in self.ops if tensor in op.outputs), None)

    def consumers(self, tensor: int) -> list[Op]:
        """What takes a tensor."""
        return [op for op in self.ops if tensor in op.inputs]

    def is_constant(self, tensor: int) -> bool:
        """Whether its values are in the file, packed or not."""
        producer = self.producer(tensor)
        unpacked = producer is not None and producer.name == "DEQUANTIZE" and self.is_constant(producer.inputs[0])
        return self.tensors[tensor].constant or unpacked


def read(model: bytes) -> list[Graph]:
    """The graphs of a TFLite file: the main one, and the bodies of its loops and branches."""
    root = schema.Model.GetRootAs(model, 0)
    names = [_op_name(root.OperatorCodes(number)) for number in range(root.OperatorCodesLength())]
    return [_graph(root, root.Subgraphs(number), names) for number in range(root.SubgraphsLength())]


def float_ops(graphs: list[Graph]) -> list[str]:
    """The operations that compute in float, such as `ATAN2 (no integer kernel)`: none in a full-integer model."""
    return [f"{op.name} ({_why(graph, op)})" for graph in graphs for op in graph.ops if _computes_in_float(graph, op)]


def not_merged(graphs: list[Graph]) -> list[str]:
    """A sentence for each activation or BatchNormalization that a layer before it could have computed with.

    That is an activation, or an addition or multiplication by one constant or one a channel, that alone takes the
    output of a convolution or dense layer which has no activation of its own.
    """
    return [
        f"{after.name}{_where(graph, after)} is not merged into the {op.name} before it"
        for graph in graphs
        for op in graph.ops
        for after in _mergeable(graph, op)
    ]


def _mergeable(graph: Graph, op: Op) -> Iterator[Op]:
    if op.name not in _LINEAR or op.activates:
        return
    output, after = op.outputs[0], graph.consumers(op.outputs[0])
    while len(after) == 1 and after[0].name in _PASSES_ON:
        output, after = after[0].outputs[0], graph.consumers(after[0].outputs[0])
    if len(after) != 1 or output in graph.outputs:
        return
    others = [tensor for tensor in after[0].inputs if tensor != output]
    scales = after[0].name in _AFFINE and len(others) == 1 and _is_one_a_channel(graph, others[0], output)
    if after[0].name in _ACTIVATIONS or scales:
        yield after[0]


def _is_one_a_channel(graph: Graph, constant: int, output: int) -> bool:
    size, channels = math.prod(graph.tensors[constant].shape), graph.tensors[output].shape[-1:]
    return graph.is_constant(constant) and size in (1, *channels)


def _where(graph: Graph, op: Op) -> str:
    """The layer, where the converter has left its name."""
    name = graph.tensors[op.outputs[0]].name
    return "" if name.startswith("StatefulPartitionedCall") else f" ({name})"


def _computes_in_float(graph: Graph, op: Op) -> bool:
    return op.name not in _MOVES and any(graph.tensors[tensor].is_float for tensor in op.outputs)


def _why(graph: Graph, op: Op) -> str:
    """As far as the file shows it: the converter leaves no reasons."""
    producers = [graph.producer(tensor) for tensor in op.inputs]
    before = sorted({p.name for p in producers if p is not None and _computes_in_float(graph, p)})
    if before:
        return f"takes what {' and '.join(before)} gives"
    if any(p is not None and p.name == "DEQUANTIZE" for p in producers):
        return "no integer kernel"
    return "no range of its values is known"


def _op_name(code: Any) -> str:
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # files of old have it in the second alone
    name = _OP_NAMES[builtin]
    return code.CustomCode().decode() if name == "CUSTOM" else name


def _graph(root: Any, graph: Any, names: list[str]) -> Graph:
    return Graph(
        tensors=tuple(_tensor(root, graph.Tensors(number)) for number in range(graph.TensorsLength())),
        ops=tuple(_op(graph.Operators(number), names) for number in range(graph.OperatorsLength())),
        outputs=tuple(int(number) for number in graph.OutputsAsNumpy()),
    )


def _tensor(root: Any, tensor: Any) -> Tensor:
    return Tensor(
        name=tensor.Name().decode(),
        shape=tuple(tensor.Shape(axis) for axis in range(tensor.ShapeLength())),
        is_float=tensor.Type() in (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.FLOAT64),
        constant=root.Buffers(tensor.Buffer()).DataLength() > 0,
    )


def _op(op: Any, names: list[str]) -> Op:
    return Op(
        name=names[op.OpcodeIndex()],
        inputs=tuple(op.Inputs(n) for n in range(op.InputsLength()) if op.Inputs(n) >= 0),
        outputs=tuple(op.Outputs(n) for n in range(op.OutputsLength())),
        activates=_activates(op),
    )


def _activates(op: Any) -> bool:
    if op.BuiltinOptionsType() not in _OPTIONS:
        return False
    options = _OPTIONS[op.BuiltinOptionsType()]()
    table = op.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return bool(options.FusedActivationFunction() != schema.ActivationFunctionType.NONE)
