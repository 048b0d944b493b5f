"""From a SavedModel's `transformed` signature to TFLite files."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python.convert_phase import ConverterError

from components.dataset import AnySplit
from lineage.outcome import InputError

SIGNATURE = "transformed"
_DO_WITHOUT = "do without the TFLite model (quantizer: {mode: none})"
Representative = Callable[[], Iterator[dict[str, NDArray[Any]]]]


@contextlib.contextmanager
def told_in_a_sentence(inputs: Mapping[str, tf.TensorSpec]) -> Iterator[None]:
    """While entered, a failure of the converter is an InputError, as is a model that it cannot quantize anyway.

    Args:
      inputs: What the model takes, `[batch, ...]`.
    """
    text = sorted(name for name, spec in inputs.items() if spec.dtype == tf.string)
    if text:
        raise InputError(
            f"The model takes text, {', '.join(text)}, expected numbers: a quantized TFLite model takes nothing else. "
            f"Make numbers of text in preprocessing_fn (tft.compute_and_apply_vocabulary), or {_DO_WITHOUT}."
        )
    try:
        yield
    except (ConverterError, RuntimeError, ValueError) as error:
        raise InputError(f"TFLite cannot convert the model: {_reason(error)}. {_advice(inputs)}.") from error


def _reason(error: Exception) -> str:
    """Of `<unknown>:0: error: loc(callsite(...)): 'tf.Op' op requires ...` and many more lines: which op, what."""
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return first.rsplit("): ", 1)[-1].rstrip(".")


def _advice(inputs: Mapping[str, tf.TensorSpec]) -> str:
    lists = sorted(name for name, spec in inputs.items() if not spec.shape[1:].is_fully_defined())
    if not lists:
        return f"Change the layer, or {_DO_WITHOUT}"
    return (
        f"Examples have any number of values of {', '.join(lists)}; for some layers, such as LSTM, TFLite needs to "
        f"know how many: pad to a fixed number in preprocessing_fn, or {_DO_WITHOUT}"
    )


def to_float(saved_model: str) -> bytes:
    """The float32 TFLite model: what the quantized one is compared with."""
    return _converter(saved_model).convert()


def to_int8(saved_model: str, representative: Representative) -> bytes:
    """The full-integer TFLite model: int8 weights and activations, uint8 for float inputs and outputs.

    Args:
      saved_model: Folder of a SavedModel with the signature `transformed`.
      representative: Yields single examples, from which the ranges of the activations are taken.
    """
    converter = _converter(saved_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.uint8
    return converter.convert()


def representative(train: AnySplit, count: int, seed: int) -> Representative:
    """`count` examples drawn from the train split without replacement (all, where it has fewer)."""
    rows = np.random.default_rng(seed).permutation(len(train))[:count]
    columns = {name: column.numpy() for name, column in train.take(rows).features.items()}

    def examples() -> Iterator[dict[str, NDArray[Any]]]:
        for row in range(len(rows)):
            yield {name: column[row : row + 1] for name, column in columns.items()}

    return examples


def _converter(saved_model: str) -> tf.lite.TFLiteConverter:
    return tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=[SIGNATURE])
