"""Int8 files whose kernels are on the grid of 4 bits, two of their numbers in a byte.

TensorFlow's converter makes kernels int8 and ai-edge-quantizer knows nothing of ranges that were trained, but LiteRT
computes convolutions and dense layers with int4 kernels and int8 activations. It unpacks them at each call, which costs
time.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from components.quantizer.describe import pack, unpack, without_runtime_version

_CODES = schema.BuiltinOperator
_WITH_KERNEL = (_CODES.CONV_2D, _CODES.DEPTHWISE_CONV_2D, _CODES.FULLY_CONNECTED)
_KERNEL, _BIAS = 1, 2  # among the inputs of such an operation
_COARSER = 127 / 7  # steps of 8 bits in one of 4, where both reach as far
_ROUNDED = 0.51  # steps of 8 bits by which what is on the grid of 4 bits is off at most


def with_int4_kernels(model: bytes) -> bytes:
    """The file with those kernels packed that 4 bits hold as they are; of the numbers only biases are rounded anew.

    Args:
      model: A full-integer file, converted of kernels that `layers.rounded` has rounded to 4 bits.
    """
    before, after = unpack(model), unpack(model)  # tensors may share a buffer: each is read as it was
    for old, new in zip(before.subgraphs, after.subgraphs, strict=True):
        for kernel, bias in _kernels(before, old):
            numbers = np.rint(_coded(before, old.tensors[kernel], np.int8) / _COARSER)
            new.tensors[kernel].type = schema.TensorType.INT4
            _set(after, new.tensors[kernel], old.tensors[kernel], _packed(numbers))
            if bias >= 0:
                biases = np.rint(_coded(before, old.tensors[bias], np.int32) / _COARSER)
                _set(after, new.tensors[bias], old.tensors[bias], biases.astype(np.int32))
    return without_runtime_version(pack(after))


def _kernels(model: Any, graph: Any) -> Iterator[tuple[int, int]]:
    """Numbers of the tensors of each kernel that 4 bits hold, and of its bias, -1 where there is none."""
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) not in _WITH_KERNEL:
            continue
        kernel, bias = op.inputs[_KERNEL], op.inputs[_BIAS] if len(op.inputs) > _BIAS else -1
        coded = _coded(model, graph.tensors[kernel], np.int8)
        off = np.abs(coded - np.rint(coded / _COARSER) * _COARSER)
        if graph.tensors[kernel].type == schema.TensorType.INT8 and coded.size and off.max() < _ROUNDED:
            yield int(kernel), int(bias)


def _coded(model: Any, tensor: Any, dtype: Any) -> NDArray[Any]:
    data = model.buffers[tensor.buffer].data
    return np.frombuffer(b"" if data is None else bytes(data), dtype)


def _packed(numbers: NDArray[Any]) -> NDArray[Any]:
    """Of two neighbours the first in the lower half of a byte."""
    halves = np.pad(numbers.astype(np.int8), (0, numbers.size % 2)).view(np.uint8) & 0xF
    return halves[::2] | halves[1::2] << 4


def _set(model: Any, tensor: Any, before: Any, data: NDArray[Any]) -> None:
    model.buffers[tensor.buffer].data = data.view(np.uint8)
    tensor.quantization.scale = [scale * _COARSER for scale in before.quantization.scale]
