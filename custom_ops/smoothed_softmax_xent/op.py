"""Label-smoothed softmax cross-entropy over sparse labels: the op, its gradients and its composite twin.

For a row of logits x with K classes, label y, smoothing e (Szegedy et al., "Rethinking the Inception Architecture for
Computer Vision", 2016, section 7) and z-loss c (Chowdhery et al., "PaLM", 2022, section 5; T5X has the same), with
log Z = logsumexp(x), log p = x - log Z and p = exp(log p):

    loss = -(1 - e) log p[y] - e/K sum(log p) + c (log Z)^2
    d loss / d x[i] = (1 + 2 c log Z) p[i] - e/K - (1 - e) [i = y]
"""

import functools
from typing import Any, NamedTuple

import tensorflow as tf

from custom_ops import library, trial

# Between two ways to compute the same in float32, which is then rounded to the dtype of the logits.
TOLERANCES = {tf.float32: 1e-5, tf.bfloat16: 2.0**-7, tf.float16: 2.0**-9}


class Options(NamedTuple):
    """The attributes of the op; `ignore_index` holds one label or none."""

    label_smoothing: float
    z_loss: float
    ignore_index: list[int]


def smoothed_softmax_xent(
    logits: Any,
    labels: Any,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    z_loss: float = 0.0,
    weights: Any = None,
) -> Any:
    """Cross-entropy of each example, with its label smoothed evenly over all classes.

    The logits are read once forwards and once backwards; nothing of their size is made but their gradient, and that in
    their own memory where a graph has no other use for them. Differentiable twice with respect to the logits.

    Logits of infinity or NaN give what `tf.nn.log_softmax` makes of them. NaN or +inf, or -inf in the whole row, makes
    the loss and gradient of its row NaN. Otherwise -inf is a class of probability 0, and the loss +inf where the
    label, smoothed, has a share in it.

    Args:
        logits: float32, bfloat16 or float16 [batch, ..., classes], unscaled; the arithmetic is in float32 at least.
        labels: int32 or int64 [batch, ...], each in [0, classes) or equal to `ignore_index`.
        label_smoothing: share of each label that is spread over all classes, in [0, 1].
        ignore_index: a label whose examples have loss 0 and gradient 0, whatever their logits. None: there is none.
        z_loss: logsumexp(logits)^2 times this is added: it keeps log Z near 0 (PaLM: 1e-4).
        weights: float32 like the labels, what the loss of each example is multiplied by. None: 1.

    Returns:
        float32 like the labels, in nats.

    Raises:
        ValueError: wrong dtypes or options, or shapes known not to fit.
        tf.errors.InvalidArgumentError: shapes that do not fit or a label out of range, when it runs. A GPU cannot
            raise, nor can what XLA compiles: there such a label makes the loss and gradient of its example NaN.

    Example:
        >>> custom_ops.smoothed_softmax_xent([[2.0, 1.0, 0.0]], [0], label_smoothing=0.1)
        <tf.Tensor: shape=(1,), dtype=float32, numpy=array([0.507606], dtype=float32)>
    """
    check_options(label_smoothing, ignore_index, z_loss)
    logits, labels = tf.convert_to_tensor(logits), tf.convert_to_tensor(labels)
    _check_tensors(logits, labels)
    options = Options(label_smoothing, z_loss, [] if ignore_index is None else [ignore_index])
    ops = _ops_for(logits.dtype)
    loss = (
        ops.smoothed_softmax_xent(logits, labels, **options._asdict()).loss
        if ops
        else composite(logits, labels, options)
    )
    return loss if weights is None else loss * _checked_weights(weights, labels)


def composite(logits: Any, labels: Any, options: Options) -> Any:
    """The same in plain TensorFlow, for exports and wherever the op is not."""
    classes = tf.shape(logits, labels.dtype)[-1]
    rows = tf.cast(tf.reshape(logits, tf.stack([-1, classes])), tf.float32)
    columns = tf.reshape(labels, [-1])
    ignored = tf.zeros_like(columns, tf.bool)
    for ignore_index in options.ignore_index:
        ignored = tf.equal(columns, ignore_index)
        # Neither the logits nor the label of such a row may come to anything, not even to NaN times 0.
        rows = tf.where(ignored[:, tf.newaxis], 0.0, rows)
        columns = tf.where(ignored, tf.zeros_like(columns), columns)
    # A gather on a GPU or by XLA refuses no label: a factor of NaN on both sides of it is in loss and gradient.
    factor = tf.where((columns >= 0) & (columns < classes), 1.0, float("nan"))
    loss = factor * _loss_of_rows(rows * factor[:, tf.newaxis], columns, options)
    return tf.reshape(tf.where(ignored, 0.0, loss), tf.shape(labels))


def _loss_of_rows(logits: Any, labels: Any, options: Options) -> Any:
    """Of float32 [rows, classes] and [rows]. A term without a share is left out: its 0 * inf would be NaN."""
    log_probabilities = tf.nn.log_softmax(logits)
    loss = tf.zeros_like(labels, tf.float32)
    if options.label_smoothing < 1:
        loss += (options.label_smoothing - 1.0) * tf.gather(log_probabilities, labels, batch_dims=1)
    if options.label_smoothing > 0:
        loss -= options.label_smoothing * tf.reduce_mean(log_probabilities, axis=-1)
    if options.z_loss:
        loss += options.z_loss * tf.square(tf.reduce_logsumexp(logits, axis=-1))
    return loss


@tf.RegisterGradient("SmoothedSoftmaxXent")
def _gradient(op: Any, d_loss: Any, *_: Any) -> tuple[Any, None]:
    """Of the loss: the other outputs are there for this only, and labels have no derivative."""
    ops: Any = library.load()
    _, maximum, total = op.outputs
    return ops.smoothed_softmax_xent_grad(*op.inputs, maximum, total, d_loss, **_options_of(op)._asdict()), None


@tf.RegisterGradient("SmoothedSoftmaxXentGrad")
def _second_gradient(op: Any, d_gradient: Any) -> list[Any]:
    """By the composite, differentiated twice; maximum and sum are functions of the logits, so all is in theirs."""
    logits, labels, _, _, d_loss = op.inputs
    with tf.GradientTape() as outer:
        outer.watch([logits, d_loss])
        with tf.GradientTape() as inner:
            inner.watch(logits)
            loss = composite(logits, labels, _options_of(op))
        gradient = inner.gradient(loss, logits, d_loss)
    d_logits, d_d_loss = outer.gradient(gradient, [logits, d_loss], d_gradient)
    return [d_logits, None, None, None, d_d_loss]


def _options_of(op: Any) -> Options:
    return Options(*(op.get_attr(name) for name in Options._fields))


def _ops_for(dtype: tf.DType) -> Any | None:
    """The compiled ops where they should run: on a GPU if they are right there; float16 has a kernel on GPUs only."""
    ops = library.ops_to_call()
    if ops is None:
        return None
    usable = _usable_on_gpu(dtype) if tf.config.get_visible_devices("GPU") else dtype != tf.float16
    return ops if usable else None


@functools.cache
def _usable_on_gpu(dtype: tf.DType) -> bool:
    """Tried when it is first asked, once in a process."""
    return trial.passes(f"SmoothedSoftmaxXent ({dtype.name})", lambda: _results(dtype))


def _results(dtype: tf.DType) -> trial.Results:
    """Loss and gradient of few and of many classes, of which the kernel and its composite make the same."""
    ops: Any = library.load()
    options, tolerance = Options(0.1, 1e-2, [3]), TOLERANCES[dtype]
    for shape in ((6, 20), (2, 3, 5001)):
        logits = tf.cast(4 * tf.random.stateless_normal(shape, seed=(0, 0)), dtype)
        labels = tf.reshape(tf.range(6, dtype=tf.int64), shape[:-1])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(logits)
            found = ops.smoothed_softmax_xent(logits, labels, **options._asdict()).loss
            expected = composite(logits, labels, options)
        gradients = tape.gradient(found, logits), tape.gradient(expected, logits)
        yield f"logits {shape}", found, expected, tolerance
        yield f"the gradient of logits {shape}", *gradients, tolerance


def check_options(label_smoothing: float, ignore_index: int | None, z_loss: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"Expected label_smoothing in [0, 1]. Received: label_smoothing={label_smoothing}")
    if not 0 <= z_loss < float("inf"):
        raise ValueError(f"Expected a z_loss of 0 or more. Received: z_loss={z_loss}")
    if ignore_index is not None and not isinstance(ignore_index, int):
        raise ValueError(f"Expected ignore_index to be a whole number or None. Received: ignore_index={ignore_index!r}")


def _check_tensors(logits: Any, labels: Any) -> None:
    """What is known before they run."""
    if logits.dtype not in (tf.float32, tf.bfloat16, tf.float16) or labels.dtype not in (tf.int32, tf.int64):
        raise ValueError(
            "Expected float32, bfloat16 or float16 logits and int32 or int64 labels; cast them first. "
            f"Received: logits {logits.dtype.name}, labels {labels.dtype.name}"
        )
    shape = logits.shape
    if shape.rank is None:
        return
    if shape.rank < 2 or shape[-1] == 0 or not shape[:-1].is_compatible_with(labels.shape):
        raise ValueError(
            "Expected logits [batch, ..., classes] with a class or more, and one label a row, [batch, ...]. "
            f"Received: logits {shape}, labels {labels.shape}"
        )


def _checked_weights(weights: Any, labels: Any) -> Any:
    weights = tf.convert_to_tensor(weights, tf.float32)
    if not weights.shape.is_compatible_with(labels.shape):
        raise ValueError(f"Expected one weight a label. Received: weights {weights.shape}, labels {labels.shape}")
    return weights
