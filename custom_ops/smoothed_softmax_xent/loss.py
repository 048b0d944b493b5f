"""The Keras loss on the op SmoothedSoftmaxXent."""

from typing import Any

import keras
import tensorflow as tf

from custom_ops.smoothed_softmax_xent.op import check_options, smoothed_softmax_xent


@keras.saving.register_keras_serializable(package="slipway")
class SmoothedCrossentropy(keras.losses.Loss):
    """Keras loss on logits [batch, ..., classes] and integer labels [batch, ...] or [batch, ..., 1].

    What `keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=...)` gives on one-hot labels, without
    the one-hot array. As in `keras.losses.SparseCategoricalCrossentropy(ignore_class=...)` examples that are ignored
    are masked: a mean is over the others. Unlike Keras' losses it takes labels and logits as they come, in float32
    nothing but the loss: no label is rounded, and a mixed policy's logits are not copied.

    Args:
        label_smoothing: share of each label that is spread over all classes, in [0, 1].
        ignore_index: a label whose examples do not count. None: there is none.
        z_loss: logsumexp(logits)^2 times this is added (PaLM: 1e-4).
        reduction: as in any Keras loss.
        name: as in any Keras loss.
        dtype: float32, bfloat16 or float16, to which the logits are cast before. None: they keep their own.

    Example:
        model.compile("adam", loss=custom_ops.SmoothedCrossentropy(label_smoothing=0.1))
    """

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        z_loss: float = 0.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "smoothed_crossentropy",
        dtype: Any = None,
    ) -> None:
        check_options(label_smoothing, ignore_index, z_loss)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.label_smoothing = label_smoothing
        self.ignore_index = ignore_index
        self.z_loss = z_loss
        self.logits_dtype = None if dtype is None else self._dtype

    @property
    def dtype(self) -> None:
        """None: Keras then casts neither labels nor logits, which it would to float32, before `call`."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        labels, logits = self._as_the_op_takes_them(y_true, y_pred)
        losses = smoothed_softmax_xent(
            logits,
            labels,
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
            z_loss=self.z_loss,
        )
        if self.ignore_index is not None:
            losses._keras_mask = tf.not_equal(labels, self.ignore_index)  # what Keras' reduction looks for
        return losses

    def _as_the_op_takes_them(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        labels, logits = tf.convert_to_tensor(y_true), tf.convert_to_tensor(y_pred)
        if labels.dtype not in (tf.int32, tf.int64):
            labels = tf.cast(labels, tf.int64)
        if labels.shape.rank == logits.shape.rank:
            labels = tf.squeeze(labels, axis=-1)
        if self.logits_dtype is not None:
            logits = tf.cast(logits, self.logits_dtype)
        return labels, logits if logits.dtype != tf.float64 else tf.cast(logits, tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "label_smoothing": self.label_smoothing,
            "ignore_index": self.ignore_index,
            "z_loss": self.z_loss,
            "dtype": self.logits_dtype,
        }
