"""Replicas of a model that each have several devices: a strategy of which every process is one replica."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended
from tensorflow.python.distribute.numpy_dataset import SingleDevice

from lineage.outcome import InputError


class HybridStrategy(tf.distribute.MultiWorkerMirroredStrategy):
    """MultiWorkerMirroredStrategy with one replica a process, whose layers may be on all devices of the process.

    Variables of placed and sharded layers are ordinary ones, which begin with the chief's values and have to be updated
    with gradients that are reduced already; all others are mirrored, on the process' first device.
    """

    def __init__(self) -> None:
        extended = _Extended(
            self, cluster_resolver=None, communication_options=tf.distribute.experimental.CommunicationOptions()
        )
        tf.distribute.Strategy.__init__(self, extended)


class _Extended(CollectiveAllReduceExtended):
    def _initialize_local_devices(self, cluster_resolver: Any, worker_device: str) -> tuple[tuple[str, ...], str]:
        devices, kind = super()._initialize_local_devices(cluster_resolver, worker_device)
        return devices[:1], kind

    def _create_variable(self, next_creator: Callable[..., Any], **kwargs: Any) -> Any:
        beside = kwargs.get("colocate_with")
        if isinstance(beside, tf.Variable) and not isinstance(beside, tf.distribute.DistributedValues):
            kwargs["colocate_with"] = SingleDevice(beside.device)
        if isinstance(kwargs.get("colocate_with"), SingleDevice):
            kwargs["initial_value"] = self._get_variable_creator_initial_value(
                replica_id=0, device=self._devices[0], primary_var=None, **kwargs
            )
        return super()._create_variable(next_creator, **kwargs)

    def _validate_colocate_with_variable(self, colocate_with_variable: Any) -> None:
        if isinstance(colocate_with_variable, tf.distribute.DistributedValues):
            super()._validate_colocate_with_variable(colocate_with_variable)

    def _update(self, var: Any, fn: Callable[..., Any], args: Any, kwargs: Any, group: bool) -> Any:
        if isinstance(var, tf.distribute.DistributedValues):
            return super()._update(var, fn, args, kwargs, group)
        with tf.device(var.device):
            result = fn(var, *args, **kwargs)
        return result if group else tf.nest.map_structure(self._local_results, result)


def check_strategy() -> None:
    """Whether layers can be placed and sharded here.

    Raises:
      InputError: the strategy has replicas that do not have devices of their own for the parts of a layer.
    """
    strategy = tf.distribute.get_strategy()
    if tf.distribute.has_strategy() and not isinstance(strategy, HybridStrategy):
        raise InputError(
            f"Layers are placed or sharded under {type(strategy).__name__}, whose replicas have one device each. Set "
            "trainer.model_parallel; with strategy multi_worker each process is then one replica with all its devices."
        )
