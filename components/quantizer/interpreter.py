"""A TFLite model in the LiteRT interpreter, called with and answering in real units, whatever its tensors hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

_BATCH = 256
_MOVES = {"CAST", "CONCATENATION", "DELEGATE", "DEQUANTIZE", "EXPAND_DIMS", "RESHAPE", "SQUEEZE"}


class TFLite:
    """Predicts with a TFLite model of one output.

    Example:
      >>> TFLite(Path("model.tflite").read_bytes()).predict({"image": images}).shape
      (5000, 10)
    """

    def __init__(self, model: bytes):
        self.size = len(model)
        self._interpreter = Interpreter(model_content=model, num_threads=1)
        self._run = self._interpreter.get_signature_runner()
        self._inputs: dict[str, Any] = self._run.get_input_details()
        [self._output] = self._run.get_output_details().items()

    def predict(self, features: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Features `[n, ...]` by name, in real units, to predictions `[n, k]` float32."""
        count = len(next(iter(features.values())))
        return np.concatenate([self._batch(features, start) for start in range(0, count, _BATCH)])

    def float_ops(self) -> list[str]:
        """Names of the operations that compute in float: none in a full-integer model.

        What only brings an integer input (an age, a count) to the scale of the model is not counted: a cast, and moving
        its values.
        """
        ops = self._interpreter._get_ops_details()
        return [op["op_name"] for op in ops if np.float32 in op["result_types"] and op["op_name"] not in _MOVES]

    def _batch(self, features: Mapping[str, NDArray[Any]], start: int) -> NDArray[Any]:
        rows = {
            name: _quantize(features[name][start : start + _BATCH], detail) for name, detail in self._inputs.items()
        }
        name, detail = self._output
        return _dequantize(self._run(**rows)[name], detail)


def _quantize(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[Any]:
    scale, zero = detail["quantization"]
    if not scale:
        return values.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(values / scale + zero), limits.min, limits.max).astype(detail["dtype"])


def _dequantize(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[Any]:
    scale, zero = detail["quantization"]
    return (values.astype(np.float32) - zero) * scale if scale else values.astype(np.float32)
