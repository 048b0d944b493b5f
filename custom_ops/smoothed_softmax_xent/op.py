"""Label-smoothed softmax cross-entropy over sparse labels: the op, its gradient and its composite twin.

For a row of logits x with K classes, label y and smoothing e (Szegedy et al., "Rethinking the Inception Architecture
for Computer Vision", 2016, section 7), with log p = log softmax(x):

    loss = -(1 - e) log p[y] - e/K sum(log p)         d loss / d x[i] = p[i] - e/K - (1 - e) [i = y]
"""

from typing import Any

import tensorflow as tf

from custom_ops import library


def smoothed_softmax_xent(logits: Any, labels: Any, label_smoothing: float = 0.0) -> Any:
    """Cross-entropy of each example, with its label smoothed evenly over all classes.

    Differentiable twice with respect to the logits.

    Args:
        logits: float32 [batch, classes], unscaled.
        labels: int32 or int64 [batch], each in [0, classes).
        label_smoothing: share of each label that is spread over all classes, in [0, 1].

    Returns:
        float32 [batch], in nats.

    Raises:
        ValueError: wrong dtypes or smoothing, or shapes known not to fit.
        tf.errors.InvalidArgumentError: shapes that do not fit or a label out of range, when it runs (a composite
            on a GPU does not look at the range).

    Example:
        >>> custom_ops.smoothed_softmax_xent([[2.0, 1.0, 0.0]], [0], label_smoothing=0.1)
        <tf.Tensor: shape=(1,), dtype=float32, numpy=array([0.507606], dtype=float32)>
    """
    logits, labels = _checked(tf.convert_to_tensor(logits), tf.convert_to_tensor(labels), label_smoothing)
    if ops := library.ops_to_call():
        return ops.smoothed_softmax_xent(logits, labels, label_smoothing=label_smoothing).loss
    return composite(logits, labels, label_smoothing)


def composite(logits: Any, labels: Any, label_smoothing: float) -> Any:
    """The same in plain TensorFlow, for exports and wherever the op is not."""
    log_probabilities = tf.nn.log_softmax(logits)
    loss = (label_smoothing - 1.0) * tf.gather(log_probabilities, labels, batch_dims=1)
    # Without smoothing the mean has no say: an infinite logit must not turn 0 * inf into NaN.
    if label_smoothing:
        loss -= label_smoothing * tf.reduce_mean(log_probabilities, axis=-1)
    return loss


@tf.RegisterGradient("SmoothedSoftmaxXent")
def _gradient(op: Any, d_loss: Any, d_backprop: Any) -> tuple[Any, None]:
    """Chains the derivative that the forward op has already computed; labels have none."""
    gradient = tf.expand_dims(d_loss, 1) * op.outputs[1]
    # Only a second derivative reaches the op's second output; otherwise graphs send zeros that TensorFlow has marked.
    if d_backprop is not None and not getattr(d_backprop, "_is_zeros_tensor", False):
        probabilities = tf.nn.softmax(op.inputs[0])
        mean = tf.reduce_sum(d_backprop * probabilities, axis=1, keepdims=True)
        gradient += (d_backprop - mean) * probabilities
    return gradient, None


def _checked(logits: Any, labels: Any, label_smoothing: float) -> tuple[Any, Any]:
    """The arguments, once what is known of them before they run is found to fit."""
    check_smoothing(label_smoothing)
    if logits.dtype != tf.float32 or labels.dtype not in (tf.int32, tf.int64):
        raise ValueError(
            "Expected float32 logits and int32 or int64 labels; cast them first. "
            f"Received: logits {logits.dtype.name}, labels {labels.dtype.name}"
        )
    if not logits.shape[:1].is_compatible_with(labels.shape) or not logits.shape.is_compatible_with([None, None]):
        raise ValueError(
            "Expected logits [batch, classes] and one label a row, [batch]. "
            f"Received: logits {logits.shape}, labels {labels.shape}"
        )
    return logits, labels


def check_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"Expected label_smoothing in [0, 1]. Received: label_smoothing={label_smoothing}")
