"""The processes of a training, as one of them sees them: who is the chief, and what all agree on."""

from collections.abc import Sequence

import tensorflow as tf


class Workers:
    """What the loop asks of the other processes; with one process it is alone with itself.

    Every process has to call `total` and `of_chief` at the same places.

    Attributes:
      count: Processes.
      index: This process's place among them; the chief's is 0.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        resolver = getattr(strategy, "cluster_resolver", None)
        jobs = resolver.cluster_spec().as_dict() if resolver else {}
        self.count = max(1, sum(len(addresses) for addresses in jobs.values()))
        self.index = 0
        if resolver is not None and self.count > 1:
            self.index = resolver.task_id + (len(jobs.get("chief", [])) if resolver.task_type == "worker" else 0)
        self.local_replicas = strategy.num_replicas_in_sync // self.count

    @property
    def is_chief(self) -> bool:
        """Whether this process writes."""
        return self.index == 0

    def total(self, values: Sequence[int]) -> list[int]:
        """Sums of each value over the processes."""
        if self.count == 1:
            return [*values]
        return [int(value) for value in self._total(tf.constant(values, tf.int64)).numpy()]

    def of_chief(self, value: int) -> int:
        """The chief's value, in every process."""
        return self.total([value if self.is_chief else 0])[0]

    @tf.function(reduce_retracing=True)
    def _total(self, values: tf.Tensor) -> tf.Tensor:
        totals = self._strategy.run(self._reduce, args=(values,))
        return self._strategy.experimental_local_results(totals)[0]

    def _reduce(self, values: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        is_first = tf.equal(context.replica_id_in_sync_group % self.local_replicas, 0)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(is_first, values, 0))
