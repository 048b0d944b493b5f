"""Claim: Adam's update by one op is Keras' own, up to the rounding of 1 - beta_2, whatever else the optimizer does."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.trainer.fused_adam import fuse

STEPS = 50
LEARNING_RATE = 1e-3
LARGE, SMALL = (300, 300), (7,)  # the one by the op, the other by Keras
# The op subtracts beta_2 from 1 in float32, Keras in float64.
OF_SECOND_MOMENT = float(abs((1 - np.float32(0.999)) / 0.001 - 1))
ULP = float(np.finfo(np.float32).eps)

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: keras.optimizers.Adam(LEARNING_RATE),
    "epsilon and betas": lambda: keras.optimizers.Adam(LEARNING_RATE, beta_1=0.7, beta_2=0.95, epsilon=0.1),
    "adamw": lambda: keras.optimizers.AdamW(LEARNING_RATE, weight_decay=0.02),
    "schedule, averages": lambda: keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS), use_ema=True, ema_overwrite_frequency=None
    ),
    "clipped": lambda: keras.optimizers.Adam(LEARNING_RATE, clipnorm=0.5),
    "loss scaling": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(LEARNING_RATE), initial_scale=1024
    ),
}


def trained(make: Callable[[], Any], *, fused: bool) -> tuple[list[Any], list[Any]]:
    """Values of the variables and of the optimizer's own after steps with random gradients, with a gap of scale."""
    random = np.random.default_rng(0)
    variables = [keras.Variable(random.normal(size=shape).astype(np.float32)) for shape in (LARGE, SMALL)]
    optimizer = make()
    optimizer.build(variables)
    if fused:
        fuse(getattr(optimizer, "inner_optimizer", optimizer))
    apply = tf.function(lambda *gradients: optimizer.apply(gradients, variables))
    for step in range(STEPS):
        scale = 10.0 ** random.uniform(-6, 2) if step % 3 else 1.0
        apply(*(tf.constant(scale * random.normal(size=shape), tf.float32) for shape in (LARGE, SMALL)))
    return [variable.numpy() for variable in variables], [variable.numpy() for variable in optimizer.variables]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fused_adam_equals_keras_own_update(name: str) -> None:
    ours, our_state = trained(OPTIMIZERS[name], fused=True)
    theirs, their_state = trained(OPTIMIZERS[name], fused=False)
    for one, other in zip(ours, theirs, strict=True):
        # A step is at most about the learning rate, and off by half of what the second moment is; sums round besides.
        np.testing.assert_allclose(one, other, rtol=8 * ULP, atol=STEPS * LEARNING_RATE * OF_SECOND_MOMENT / 2)
    assert len(our_state) == len(their_state)
    for one, other in zip(our_state, their_state, strict=True):
        # Momentum is a sum that cancels: rounded as its terms are.
        np.testing.assert_allclose(one, other, rtol=OF_SECOND_MOMENT + 8 * ULP, atol=4 * ULP * np.abs(other).max())


def op_types(optimizer: keras.optimizers.Optimizer, shape: tuple[int, ...]) -> set[str]:
    variable = keras.Variable(np.zeros(shape, np.float32))
    optimizer.build([variable])
    fuse(optimizer)
    graph = tf.function(lambda gradient: optimizer.apply([gradient], [variable]))
    traced = graph.get_concrete_function(tf.TensorSpec(shape, tf.float32)).graph
    return {op.type for op in traced.get_operations()}


def test_the_op_is_used_for_large_variables_of_adam_only() -> None:
    class Own(keras.optimizers.Adam):
        pass

    assert "ResourceApplyAdam" in op_types(keras.optimizers.Adam(), LARGE)
    assert "ResourceApplyAdam" in op_types(keras.optimizers.AdamW(), LARGE)
    assert "ResourceApplyAdam" not in op_types(keras.optimizers.Adam(), SMALL)
    for other in (Own(), keras.optimizers.Adam(amsgrad=True), keras.optimizers.Nadam(), keras.optimizers.SGD()):
        assert "ResourceApplyAdam" not in op_types(other, LARGE)
