"""From a SavedModel's `transformed` signature to TFLite files."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.dataset import AnySplit

SIGNATURE = "transformed"
Representative = Callable[[], Iterator[dict[str, NDArray[Any]]]]


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
