"""In which precision the model computes; its weights, its loss and its outputs are float32 always."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras
import tensorflow as tf


@contextlib.contextmanager
def policy(precision: str) -> Iterator[None]:
    """Keras' global dtype policy, for the layers that are built meanwhile, the user's own included."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def outputs_in_float32(model: keras.Model) -> None:
    """Makes the last layers of a Sequential or functional model compute in float32: softmax needs the range."""
    for output in getattr(model, "outputs", None) or []:
        layer = output._keras_history.operation
        if isinstance(layer, keras.Layer):
            layer.dtype_policy = keras.DTypePolicy("float32")


def candidates() -> tuple[str, ...]:
    """What `auto` chooses from here: one for a GPU by its generation; on a CPU those whose speed is to be measured."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        if capability >= (8, 0):
            return ("mixed_bfloat16",)
        return ("mixed_float16",) if capability >= (7, 0) else ("float32",)
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return ("float32", "mixed_bfloat16") if {"avx512_bf16", "amx_bf16"} & set(flags) else ("float32",)
