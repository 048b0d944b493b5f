"""A gradient that is not finite: which layer it is in."""

import keras
import numpy as np
import tensorflow as tf

from components.dataset import Rows
from components.trainer.model import call, loss_of


class NotFiniteError(Exception):
    """A training that cannot go on: what is not finite, at which step, and what to do."""


def diagnose(model: keras.Model, rows: Rows) -> str:
    """The first thing that is not finite on these rows: the loss, else the first variable by its gradient."""
    with tf.GradientTape() as tape:
        predictions = call(model, rows.features, training=True)
        loss = loss_of(model, rows, predictions, rows.sample_weight, training=True)
    gradients = tape.gradient(loss, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        if gradient is not None and not np.isfinite(tf.convert_to_tensor(gradient).numpy()).all():
            return f"the gradient of {variable.path} (the loss is {float(loss):g})"
    return f"the loss, {float(loss):g}" if not np.isfinite(loss) else "nothing when it is computed again"
