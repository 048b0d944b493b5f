"""Adam's update of a variable as one op of TensorFlow, where Keras 3 has a dozen, each a pass over the memory.

Only the arithmetic: state, iterations, weight decay, clipping, averages, loss scaling and schedules stay Keras' own.
"""

import keras
import tensorflow as tf

_LEAST_ELEMENTS = 2**16  # below, the op is slower than Keras: it wakes all threads, for however little


def fuse(optimizer: keras.Optimizer) -> None:
    """Makes `keras.optimizers.Adam` and `AdamW` update large float32 variables by ResourceApplyAdam; leaves all others.

    The op computes as Keras does, but for 1 - beta_2, which it rounds as 1 minus a float32: of 0.999 this is off by
    1.3e-5 of itself, and so is the second moment at most; a step of a weight by half of that.

    Args:
      optimizer: The one that has the slots, inside a LossScaleOptimizer. Subclasses may compute something else.
    """
    if type(optimizer) not in (keras.optimizers.Adam, keras.optimizers.AdamW) or optimizer.amsgrad:
        return
    by_keras = optimizer.update_step

    def update_step(gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor) -> None:
        if variable.dtype != tf.float32 or variable.shape.num_elements() < _LEAST_ELEMENTS:
            by_keras(gradient, variable, learning_rate)
            return
        index, step = optimizer._get_variable_index(variable), tf.cast(optimizer.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=optimizer._momentums[index].value.handle,
            v=optimizer._velocities[index].value.handle,
            beta1_power=tf.pow(optimizer.beta_1, step),
            beta2_power=tf.pow(optimizer.beta_2, step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=optimizer.beta_1,
            beta2=optimizer.beta_2,
            epsilon=optimizer.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )

    optimizer.update_step = update_step
