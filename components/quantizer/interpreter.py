"""A TFLite model in the LiteRT interpreter, called with and answering in real units, whatever its tensors hold."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lineage.outcome import InputError

_BATCH = 256


class TFLite:
    """Predicts with a TFLite model of one output.

    Example:
      >>> TFLite(Path("model.tflite").read_bytes()).predict({"image": images}).shape
      (5000, 10)
    """

    def __init__(self, model: bytes):
        self._run = Interpreter(model_content=model, num_threads=1).get_signature_runner()
        self._inputs: dict[str, Any] = self._run.get_input_details()
        [self._output] = self._run.get_output_details().items()

    def predict(self, features: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Features `[n, ...]` by name, in real units, to predictions `[n, k]` float32.

        Raises:
          InputError: the model cannot run, or does not answer about every row: the converter made a wrong file of it.
        """
        return np.concatenate([*self.batches(features)])

    def batches(self, features: Mapping[str, NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """The same, some hundred rows at a time."""
        count = len(next(iter(features.values())))
        return (self._batch(features, start) for start in range(0, count, _BATCH))

    def _batch(self, features: Mapping[str, NDArray[Any]], start: int) -> NDArray[Any]:
        rows = {
            name: quantized(features[name][start : start + _BATCH], detail) for name, detail in self._inputs.items()
        }
        name, detail = self._output
        count = len(next(iter(rows.values())))
        try:
            answers = self._run(**rows)[name]
        except RuntimeError as error:
            raise InputError(f"The TFLite model cannot run: {error} {_WRONG}") from error
        if len(answers) != count:
            raise InputError(f"The TFLite model gave {len(answers)} answers about {count} examples. {_WRONG}")
        return dequantized(answers, detail)


_WRONG = (
    "The converter made a wrong file of the model: change the layer that the operation is of, or do without the TFLite "
    "model (quantizer: {mode: none})."
)


def quantized(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[Any]:
    """Real numbers as the tensor of `detail` (LiteRT's) holds them; those beyond its range become its ends."""
    scale, zero = detail["quantization"]
    if not scale:
        return values.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(values / scale + zero), limits.min, limits.max).astype(detail["dtype"])


def dequantized(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[Any]:
    """The real numbers, float32, that the values of a tensor stand for."""
    scale, zero = detail["quantization"]
    return (values.astype(np.float32) - zero) * scale if scale else values.astype(np.float32)
