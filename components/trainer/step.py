"""The train step: whatever it is cut into, the result is that of one large batch on one device.

Each replica sums the gradients of its micro-batches, weighted by their sizes; one all-reduce sums them over the
replicas; only then comes what is not linear: the check for NaN, clipping, and a single update of the weights. Keras'
own accumulation and its clipping under tf.distribute are not equal to the large batch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from components.dataset import Rows
from components.parallel.devices import beside
from components.trainer.model import as_input, base_optimizer, call, loss_of
from components.trainer.order import Batch


class TrainStep:
    """Runs optimizer steps, and validation steps, of a compiled model that was built under the strategy's scope.

    Attributes:
      step: Steps done, those that were left out included; int64 variable.
      skipped: Steps left out because their gradient was not finite; int64 variable.
      skipped_in_a_row: Those since the last step that was done; int64 variable.
      broken: The step whose gradient was not finite where such steps are not left out, else -1; nothing is updated from
        it on. An int64 variable.
    """

    def __init__(
        self,
        model: keras.Model,
        strategy: tf.distribute.Strategy,
        *,
        accumulate: int,
        skip_nan: bool,
        jit: bool = False,
        class_weight: Mapping[int, float] | None = None,
    ):
        self._model = model
        self._strategy = strategy
        self._accumulate = accumulate
        self._skip_nan = skip_nan
        self._class_weight = _table(class_weight) if class_weight else None
        self._replicas = strategy.num_replicas_in_sync
        self._differentiate = (
            tf.function(self._loss_and_gradients, jit_compile=True) if jit else self._loss_and_gradients
        )
        self._scales_loss = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        self._optimizer = base_optimizer(model.optimizer)
        # Keras sums over the replicas when it applies; what it is given here is the sum already.
        self._optimizer._all_reduce_sum_gradients = list
        # Keras does this in a condition inside the replicas, where MirroredStrategy cannot; see _apply.
        self._ema_every, self._optimizer.ema_overwrite_frequency = self._optimizer.ema_overwrite_frequency, None
        self.step, self.skipped, self.skipped_in_a_row, self.broken = (
            tf.Variable(start, dtype=tf.int64, trainable=False) for start in (0, 0, 0, -1)
        )

    @tf.function(reduce_retracing=True)
    def run(self, batches: Any, count: tf.Tensor) -> None:
        """Takes `count` steps on the next batches of a (distributed) iterator."""
        for _ in tf.range(count):
            self._one(next(batches))

    @tf.function(reduce_retracing=True)
    def evaluate(self, batches: Any, count: tf.Tensor) -> None:
        """Brings the metrics up to date with the next `count` batches, without training."""
        for _ in tf.range(count):
            self._strategy.run(self._evaluate, args=(next(batches),))

    def _evaluate(self, batch: Batch) -> None:
        rows = batch.rows
        predictions = call(self._model, rows.features, training=False)
        loss = loss_of(self._model, rows, predictions, rows.sample_weight, training=False) * self._replicas
        if self._replicas == 1 or batch.count > 0:
            self._count(rows, predictions, loss, batch.count)

    def _one(self, batch: Batch) -> None:
        gradients, finite = self._strategy.run(self._gradients, args=(batch,))
        finite = self._strategy.experimental_local_results(finite)[0]  # equal on all replicas: it is of the sum
        # A LossScaleOptimizer leaves a step out by itself, and lowers its scale.
        if self._scales_loss or (finite and self.broken < 0):
            self._apply(gradients)
        if finite:
            self.skipped_in_a_row.assign(0)
        elif self._scales_loss or self._skip_nan:
            self.skipped.assign_add(1)
            self.skipped_in_a_row.assign_add(1)
        elif self.broken < 0:
            self.broken.assign(self.step)
        self.step.assign_add(1)

    def _apply(self, gradients: Any) -> None:
        self._strategy.run(self._model.optimizer.apply, args=(gradients, self._model.trainable_variables))
        if self._ema_every and self._optimizer.iterations % self._ema_every == 0:
            self._optimizer._overwrite_model_variables_with_average_value(self._model.trainable_variables)

    def _gradients(self, batch: Batch) -> tuple[list[tf.Tensor], tf.Tensor]:
        """The gradient of the mean loss over the global batch, the same on every replica, and whether it is finite."""
        rows, count = batch
        if self._replicas == 1 and self._accumulate == 1:
            gradients = self._of_part(rows, count)
        elif self._replicas == 1:
            gradients = self._divided(self._summed(rows, count), count)
        else:  # unrolled: a synchronized BatchNormalization cannot be in a tf.while_loop
            parts = [self._of_slice(rows, count, part) for part in range(self._accumulate)]
            sums = [tf.add_n(gradients) for gradients in zip(*parts, strict=True)]
            context = tf.distribute.get_replica_context()
            *sums, total = context.all_reduce(tf.distribute.ReduceOp.SUM, [*sums, tf.cast(count, tf.float32)])
            gradients = self._divided(sums, total)
        return gradients, tf.reduce_all(self._beside(lambda one: tf.reduce_all(tf.math.is_finite(one)), gradients))

    def _summed(self, rows: Rows, count: tf.Tensor) -> list[tf.Tensor]:
        sums = self._beside(lambda variable: tf.zeros(variable.shape, variable.dtype), self._model.trainable_variables)
        for part in tf.range(tf.minimum(tf.constant(self._accumulate, tf.int64), count)):
            sums = self._beside(tf.add, sums, self._of_slice(rows, count, part))
        return sums

    def _of_slice(self, rows: Rows, count: tf.Tensor, part: Any) -> list[tf.Tensor]:
        """Size times the gradient of micro-batch `part`.

        An empty one, of a batch with fewer rows than parts, takes a row and counts 0.
        """
        there = tf.shape(rows.labels, tf.int64)[0]
        parts = tf.minimum(tf.constant(self._accumulate, tf.int64), there) if self._replicas == 1 else self._accumulate
        low, high = there * part // parts, there * (part + 1) // parts
        size = tf.where(count > 0, high - low, 0)
        low = tf.minimum(low, there - 1)
        high = tf.maximum(high, low + 1)
        gradients = self._of_part(tf.nest.map_structure(lambda column: column[low:high], rows), size)
        # Weighted here, in float32: in the loss it would multiply what float16 has to hold.
        return self._beside(lambda gradient: gradient * tf.cast(size, gradient.dtype), gradients)

    def _of_part(self, rows: Rows, size: tf.Tensor) -> list[tf.Tensor]:
        """The gradient of the mean loss over some rows; the metrics see them too, where size is not 0."""
        predictions, loss, gradients = self._differentiate(rows, self._weights(rows))
        if self._scales_loss or self._skip_nan:  # a step that is left out must not make the epoch's loss NaN
            seen = tf.math.is_finite(loss)
            loss, size = tf.where(seen, loss, 0), tf.where(seen, size, 0)
        if self._replicas == 1 or size > 0:
            self._count(rows, predictions, loss, size)
        return gradients

    def _loss_and_gradients(
        self, rows: Rows, weights: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        model = self._model
        with tf.GradientTape() as tape:
            predictions = call(model, rows.features, training=True)
            # Keras divides by the number of replicas; the mean over these rows is what is weighted here.
            loss = loss_of(model, rows, predictions, weights, training=True) * self._replicas
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables, unconnected_gradients="zero")
        return predictions, loss, self._beside(tf.convert_to_tensor, gradients)

    def _divided(self, gradients: list[tf.Tensor], count: tf.Tensor) -> list[tf.Tensor]:
        return self._beside(lambda gradient: gradient / tf.cast(count, gradient.dtype), gradients)

    def _beside(self, function: Callable[..., tf.Tensor], *values: Sequence[Any]) -> list[tf.Tensor]:
        """Of what there is for each trainable variable, on its device: gradients of a model on several stay there."""
        return beside(self._model.trainable_variables, function, *values)

    def _weights(self, rows: Rows) -> tf.Tensor | None:
        """What each row counts in the loss: its own weight times that of its class."""
        weights = rows.sample_weight
        if self._class_weight is None:
            return weights
        of_class = self._class_weight.lookup(tf.cast(rows.labels, tf.int64))
        return of_class if weights is None else of_class * weights

    def _count(self, rows: Rows, predictions: tf.Tensor, loss: tf.Tensor, size: tf.Tensor) -> None:
        self._model._loss_tracker.update_state(loss, sample_weight=size)
        self._model.compute_metrics(as_input(rows.features), rows.labels, predictions, rows.sample_weight)


def _table(class_weight: Mapping[int, float]) -> tf.lookup.StaticHashTable:
    classes, weights = zip(*class_weight.items(), strict=True)
    entries = tf.lookup.KeyValueTensorInitializer(classes, weights, tf.int64, tf.float32)
    return tf.lookup.StaticHashTable(entries, default_value=1.0)
