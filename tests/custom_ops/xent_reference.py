"""SmoothedSoftmaxXent by its definition, in float64, and inputs to try it on."""

from typing import Any

import numpy as np
import tensorflow as tf

import custom_ops

Pair = tuple[np.ndarray, np.ndarray]


@np.errstate(all="ignore")
def reference(
    logits: np.ndarray,
    labels: np.ndarray,
    *,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    z_loss: float = 0.0,
) -> Pair:
    """Loss and derivative: cross-entropy with the smoothed one-hot distribution, plus z_loss * logsumexp^2."""
    classes = logits.shape[-1]
    counts = np.ones(labels.shape, bool) if ignore_index is None else labels != ignore_index
    target = np.full(logits.shape, label_smoothing / classes)
    of_label = np.where(counts, labels, 0)[..., None]
    np.put_along_axis(target, of_label, label_smoothing / classes + 1 - label_smoothing, axis=-1)
    largest = logits.astype(np.float64).max(axis=-1, keepdims=True)
    # Without the largest logit, beside which the others' share could vanish.
    log_sum = np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True))
    log_probabilities, log_sum_exp = logits - largest - log_sum, largest + log_sum
    # A class without a share has no say, not even one of probability 0.
    terms = np.where((target == 0) & np.isfinite(log_sum_exp), 0, target * log_probabilities)
    loss = z_loss * log_sum_exp[..., 0] ** 2 - terms.sum(axis=-1)
    derivative = np.exp(log_probabilities) * (1 + 2 * z_loss * log_sum_exp) - target
    return np.where(counts, loss, 0), np.where(counts[..., None], derivative, 0)


def random_case(shape: tuple[int, ...]) -> Pair:
    """Logits of this shape, all of them also numbers of bfloat16, and labels."""
    random = np.random.default_rng(shape)
    return in_bfloat16(random.normal(scale=4, size=shape)), random.integers(0, shape[-1], size=shape[:-1])


def in_bfloat16(numbers: np.ndarray) -> np.ndarray:
    """As float32, rounded to what bfloat16 holds too."""
    return tf.cast(tf.cast(numbers, tf.bfloat16), tf.float32).numpy()


def loss_and_gradient(logits: Any, labels: np.ndarray, **options: Any) -> Pair:
    """By what custom_ops runs now; the gradient of the sum, in the dtype of the logits."""
    variable = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        loss = custom_ops.smoothed_softmax_xent(variable, labels, **options)
    return loss.numpy(), tape.gradient(loss, variable).numpy()


def assert_equal_to_reference(found: Pair, expected: Pair) -> None:
    """A few units in the last place of float32 (6e-8, relative), of the largest term where terms cancel.

    A bfloat16 gradient is computed in float32 and rounded once: to 2^-8 of its value.
    """
    (loss, gradient), (expected_loss, expected_gradient) = found, expected
    assert loss.dtype == np.float32
    scale = max(1.0, np.abs(expected_loss).max(initial=0))
    np.testing.assert_allclose(loss, expected_loss, rtol=5e-7, atol=2e-6 * scale)
    rounding = 5e-6 if gradient.dtype == np.float32 else 2**-8 + 5e-6
    np.testing.assert_allclose(gradient.astype(np.float64), expected_gradient, rtol=rounding, atol=2e-7 * scale)
