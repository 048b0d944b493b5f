"""An optimizer that keeps its slots (momentum, Adam's moments, averages) and does its work beside each variable."""

from typing import Any

import keras
import tensorflow as tf


def work_beside_variables(optimizer: keras.Optimizer) -> None:
    """Makes an optimizer use the devices of the variables, where Keras takes the default device for everything.

    Args:
      optimizer: Not built yet; the one that has the slots, inside a LossScaleOptimizer.
    """
    add, update = optimizer.add_variable_from_reference, optimizer.update_step

    def add_beside(reference_variable: keras.Variable, *args: Any, **kwargs: Any) -> keras.Variable:
        with tf.device(reference_variable.value.device):
            return add(reference_variable, *args, **kwargs)

    def update_beside(gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        with tf.device(variable.device):
            update(gradient, variable, learning_rate)

    optimizer.add_variable_from_reference, optimizer.update_step = add_beside, update_beside
