"""The Keras loss on the op SmoothedSoftmaxXent."""

from typing import Any

import keras
import tensorflow as tf

from custom_ops.smoothed_softmax_xent.op import check_smoothing, smoothed_softmax_xent


@keras.saving.register_keras_serializable(package="slipway")
class SmoothedCrossentropy(keras.losses.Loss):
    """Keras loss on logits [batch, classes] and integer labels [batch] or [batch, 1].

    What `keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=...)` gives on one-hot labels, without
    the one-hot array.

    Example:
        model.compile("adam", loss=custom_ops.SmoothedCrossentropy(label_smoothing=0.1))
    """

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        reduction: str = "sum_over_batch_size",
        name: str = "smoothed_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_smoothing(label_smoothing)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # Keras has cast the labels to float; int64 brings them back, exact up to 2^24 classes.
        labels = tf.cast(y_true, tf.int64)
        if labels.shape.rank == 2:
            labels = tf.squeeze(labels, axis=1)
        return smoothed_softmax_xent(tf.cast(y_pred, tf.float32), labels, self.label_smoothing)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
