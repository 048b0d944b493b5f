"""Any Keras layer on a device: its variables, its work and its gradient."""

import functools
from collections.abc import Callable
from typing import Any

import keras

from components.parallel.devices import checked, initialize_on, variables_on
from components.parallel.gradients import run_on
from components.parallel.hybrid import check_strategy
from components.parallel.ordinary import wants_ordinary_layers
from lineage.outcome import InputError


def placed(layer: keras.Layer, device: str) -> keras.Layer:
    """Puts a layer, or a model used as one, on a device.

    Args:
      layer: One without weights yet. It stays what it is: its config and its weights say nothing of the device.
      device: Such as `GPU:1`.

    Returns:
      The layer.

    Raises:
      InputError: there is no such device, the layer has weights already, or the strategy cannot place it.

    Example:
      x = placed(layers.LSTM(512), "GPU:0")(x)
      x = placed(layers.Dense(10_000), "GPU:1")(x)
    """
    if wants_ordinary_layers():
        return layer
    if layer.weights:
        raise InputError(f"The layer {layer.name!r} has weights already; place it before it is built or called.")
    check_strategy()
    device = checked(device)
    layer.build = _making_variables_on(device, layer, layer.build)
    layer._maybe_build = _making_variables_on(device, layer, layer._maybe_build)  # where it has no build of its own
    layer.call = _running_on(device, layer.call)
    layer.supports_jit = False  # XLA compiles for one device
    return layer


def _making_variables_on(device: str, layer: keras.Layer, method: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(method)
    def build(*args: Any, **kwargs: Any) -> None:
        with variables_on(device):
            method(*args, **kwargs)
        initialize_on(device, layer.weights)

    return build


def _running_on(device: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return run_on(device, lambda args, kwargs: method(*args, **kwargs), args, kwargs)

    return call
