"""Over which devices a training is replicated."""

import tensorflow as tf

from components.trainer.settings import TrainerSettings
from lineage.outcome import InputError


def make_strategy(settings: TrainerSettings) -> tf.distribute.Strategy:
    """The strategy that the settings name, checked against the batch size.

    Raises:
      InputError: the global batch cannot be cut into equal parts for replicas and micro-batches.
    """
    gpus = tf.config.list_logical_devices("GPU")
    devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    mirrored = settings.strategy == "mirrored" or (settings.strategy == "auto" and len(gpus) > 1)
    replicas = len(devices) if mirrored else 1
    _check_batch(settings, replicas)
    return tf.distribute.MirroredStrategy(devices) if replicas > 1 else tf.distribute.get_strategy()


def grow_gpu_memory() -> None:
    """Lets TensorFlow take GPU memory as it needs it, so that the serving check finds some."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _check_batch(settings: TrainerSettings, replicas: int) -> None:
    parts = replicas * settings.accumulate
    if settings.batch_size % parts:
        below = settings.batch_size - settings.batch_size % parts
        nearest = " or ".join(str(size) for size in (below, below + parts) if size)
        raise InputError(
            f"trainer.batch_size is {settings.batch_size}, which {replicas} replicas x {settings.accumulate} "
            f"micro-batches cannot share equally; the nearest that they can: {nearest}."
        )
