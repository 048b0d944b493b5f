"""From the user's functions to a compiled Keras model; what they leave out gets the task's defaults."""

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import keras
import tensorflow as tf

from lineage.outcome import InputError

Hyperparameters = Mapping[str, int | float | str | bool]

_LOSSES = {
    "multiclass": keras.losses.SparseCategoricalCrossentropy,
    "binary": keras.losses.BinaryCrossentropy,
    "regression": keras.losses.MeanSquaredError,
}
_METRICS: dict[str, list[type[keras.metrics.Metric]]] = {
    "multiclass": [keras.metrics.SparseCategoricalAccuracy],
    "binary": [keras.metrics.BinaryAccuracy, keras.metrics.AUC],
    "regression": [keras.metrics.MeanAbsoluteError],
}


@dataclasses.dataclass(frozen=True)
class Built:
    """A compiled model and the user's own callbacks."""

    model: keras.Model
    callbacks: list[keras.callbacks.Callback]


def build(module: ModuleType, inputs: dict[str, tf.TensorSpec], *, task: str, hp: Hyperparameters) -> Built:
    """Calls `build_model(inputs, hp)` and compiles what it returns, unless the user has compiled it.

    A model with one input is called with its tensor, one with several with a dict of tensors by name.

    Raises:
      InputError: `build_model` does not return a Keras model, or the model does not take the features.
    """
    model = module.build_model(inputs, dict(hp))
    if not isinstance(model, keras.Model):
        raise InputError(f"build_model returned {type(model).__name__}, expected a keras.Model.")
    _check_call(model, inputs)
    if not model.compiled:
        model.compile(
            optimizer=_hook(module, "optimizer", hp, lambda: keras.optimizers.Adam()),
            loss=_hook(module, "loss", hp, _LOSSES[task]),
            metrics=module.metrics() if hasattr(module, "metrics") else [metric() for metric in _METRICS[task]],
            steps_per_execution=10,  # 1.5-2x faster than 1 on small models
            jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,  # XLA is slower on CPUs
        )
    return Built(model, list(_hook(module, "callbacks", hp, list)))


def call(model: keras.Model, features: Mapping[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
    """The model on features by name, whether it takes a tensor or a dict."""
    return model(as_input(features), training=training)


def as_input(features: Mapping[str, Any]) -> Any:
    """A single feature as itself, several as the dict."""
    return next(iter(features.values())) if len(features) == 1 else dict(features)


def _hook(module: ModuleType, name: str, hp: Hyperparameters, default: Any) -> Any:
    return getattr(module, name)(dict(hp)) if hasattr(module, name) else default()


def _check_call(model: keras.Model, inputs: dict[str, tf.TensorSpec]) -> None:
    """Calls the model once on two rows of zeros (empty strings): it also builds a subclassed model."""
    rows = {name: tf.zeros([2, *spec.shape[1:]], spec.dtype) for name, spec in inputs.items()}
    try:
        call(model, rows)
    except (ValueError, TypeError, KeyError, tf.errors.InvalidArgumentError) as error:
        expected = ", ".join(f"{name} {spec.dtype.name}{spec.shape}" for name, spec in inputs.items())
        raise InputError(f"The model of build_model does not take the features ({expected}): {error}") from error
