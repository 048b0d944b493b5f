"""Building a model of ordinary layers from code that places and shards them, and what becomes of their weights."""

import contextlib
import contextvars
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_ordinary = contextvars.ContextVar("ordinary", default=False)


@contextlib.contextmanager
def ordinary_layers() -> Iterator[None]:
    """Meanwhile `placed` and `sharded` give back the Keras layer that they were given; variables are in host memory.

    What is built like this is what is exported: it knows of no device, and no single device has to hold it.
    """
    token = _ordinary.set(True)
    try:
        with tf.device("CPU:0"):
            yield
    finally:
        _ordinary.reset(token)


def wants_ordinary_layers() -> bool:
    """Whether layers are to be as they are."""
    return _ordinary.get()


def mark_part(variable: keras.Variable, parts: int) -> None:
    """Notes that a variable and those made after it are `parts` parts of one weight, cut along its last axis."""
    variable.parts = parts


def whole_weights(model: keras.Model) -> list[Any]:
    """The weights as the same model has them that was built of ordinary layers: parts are put together."""
    return [
        np.concatenate([part.numpy() for part in parts], axis=-1) if len(parts) > 1 else parts[0].numpy()
        for parts in _parts_of_weights(model)
    ]


def set_whole_weights(model: keras.Model, weights: Sequence[Any]) -> None:
    """Sets the weights to those of the same model that was built of ordinary layers: they are cut into the parts."""
    for parts, whole in zip(_parts_of_weights(model), weights, strict=True):
        ends = np.cumsum([part.shape[-1] for part in parts[:-1]], dtype=int) if len(parts) > 1 else None
        values = [whole] if ends is None else np.split(whole, ends, axis=-1)
        for part, value in zip(parts, values, strict=True):
            part.assign(value)


def _parts_of_weights(model: keras.Model) -> Iterator[list[Any]]:
    variables = iter(model.weights)
    for variable in variables:
        yield [variable, *itertools.islice(variables, getattr(variable, "parts", 1) - 1)]
