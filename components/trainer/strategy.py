"""Over which devices a training is replicated."""

import tensorflow as tf

from components.parallel.hybrid import HybridStrategy
from components.trainer.cluster import Cluster
from components.trainer.settings import TrainerSettings
from lineage.outcome import InputError


def make_strategy(settings: TrainerSettings, cluster: Cluster | None = None) -> tf.distribute.Strategy:
    """The strategy that the settings name, checked against the batch size.

    Args:
      settings: With `multi_worker`, TensorFlow must not have run anything in this process yet.
      cluster: The processes of `multi_worker`.

    Raises:
      InputError: the global batch cannot be cut into equal parts for replicas and micro-batches.
    """
    grow_gpu_memory()
    if cluster is not None:
        return _multi_worker(settings, cluster)
    gpus = tf.config.list_logical_devices("GPU")
    devices = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    mirrored = settings.strategy == "mirrored" or (
        settings.strategy == "auto" and len(gpus) > 1 and not settings.model_parallel
    )
    replicas = len(devices) if mirrored else 1
    _check_batch(settings, replicas)
    return tf.distribute.MirroredStrategy(devices) if replicas > 1 else tf.distribute.get_strategy()


def grow_gpu_memory() -> None:
    """Lets TensorFlow take GPU memory as it needs it, so that the serving check finds some."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def _multi_worker(settings: TrainerSettings, cluster: Cluster) -> tf.distribute.Strategy:
    if cluster.on_one_host:
        _share_gpus(cluster)
    cluster.to_environment()
    strategy = HybridStrategy() if settings.model_parallel else tf.distribute.MultiWorkerMirroredStrategy()
    _check_batch(settings, strategy.num_replicas_in_sync)
    return strategy


def _share_gpus(cluster: Cluster) -> None:
    gpus, workers = tf.config.list_physical_devices("GPU"), len(cluster.addresses)
    if gpus and len(gpus) < workers:
        raise InputError(f"trainer.workers is {workers}, but there are {len(gpus)} GPUs; expected at most as many.")
    tf.config.set_visible_devices(gpus[cluster.index :: workers], "GPU")


def _check_batch(settings: TrainerSettings, replicas: int) -> None:
    parts = replicas * settings.micro_batches
    if settings.batch_size % parts:
        below = settings.batch_size - settings.batch_size % parts
        nearest = " or ".join(str(size) for size in (below, below + parts) if size)
        raise InputError(
            f"trainer.batch_size is {settings.batch_size}, which {replicas} replicas x {settings.micro_batches} "
            f"micro-batches cannot share equally; the nearest that they can: {nearest}."
        )
