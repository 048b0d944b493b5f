"""The devices of this process, by short names such as `GPU:1`, and how variables and work get on one of them."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.distribute.numpy_dataset import SingleDevice

from lineage.outcome import InputError


def local_devices() -> list[str]:
    """The GPUs that this process sees, else its logical CPUs."""
    return _names("GPU") or _names("CPU")


def checked(device: str) -> str:
    """The short name of a device, given as `GPU:1`, `/gpu:1` or TensorFlow's full name.

    Raises:
      InputError: this process has no such device.
    """
    known = [*_names("GPU"), *_names("CPU")]
    try:
        name = short_name(device)
    except ValueError:
        name = device
    if name not in known:
        raise InputError(f"A layer is to be on {device!r}; expected a device of this process: {', '.join(known)}.")
    return name


def short_name(device: str) -> str:
    """Type and number of a device, without its host and process."""
    spec = tf.DeviceSpec.from_string(device)
    return f"{spec.device_type}:{spec.device_index}"


@contextlib.contextmanager
def variables_on(device: str) -> Iterator[None]:
    """Puts the variables that are made meanwhile on a device, as ordinary ones, whatever tf.distribute makes of others.

    Args:
      device: A short name.
    """

    def make(next_creator: Callable[..., Any], **kwargs: Any) -> Any:
        if tf.distribute.has_strategy():
            kwargs["colocate_with"] = SingleDevice(device)  # TensorFlow's mark of a variable that it does not mirror
        return next_creator(**kwargs)

    with tf.device(device), tf.variable_creator_scope(make):
        yield


def initialize_on(device: str, variables: Iterable[Any]) -> None:
    """Puts those Keras variables on a device that get their value later: in a model that is built by being called."""
    for variable in variables:
        if variable._value is None:
            variable._deferred_initialize = _on(device, variable._deferred_initialize)


def _on(device: str, method: Callable[[], None]) -> Callable[[], None]:
    def initialize() -> None:
        with variables_on(device):
            method()

    return initialize


def beside(variables: Sequence[Any], function: Callable[..., Any], *values: Sequence[Any]) -> list[Any]:
    """`function` of what there is for each Keras variable, such as its gradient, on the device of the variable."""
    results = []
    for variable, *of_variable in zip(variables, *values, strict=True):
        with tf.device(variable.value.device):
            results.append(function(*of_variable))
    return results


def _names(kind: str) -> list[str]:
    """With several processes TensorFlow lists the devices of all of them, those of this one first."""
    specs = [tf.DeviceSpec.from_string(device.name) for device in tf.config.list_logical_devices()]
    here = [spec for spec in specs if (spec.job, spec.task) == (specs[0].job, specs[0].task)]
    return [f"{kind}:{spec.device_index}" for spec in here if spec.device_type == kind]
