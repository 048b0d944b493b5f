"""Custom ops in replicas, in a process of its own that has two devices."""

import subprocess
import sys
from pathlib import Path

TWO_REPLICAS = """
import numpy as np, tensorflow as tf, custom_ops
[cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
random = np.random.default_rng(0)
x = tf.constant(random.normal(size=(8, 6)).astype(np.float32))
labels = tf.constant(random.integers(0, 40, 8))

def gradients(layer, x, labels):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(custom_ops.smoothed_softmax_xent(layer(x), labels, label_smoothing=0.1))
    return tape.gradient(loss, layer.trainable_variables)

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    layer = custom_ops.FusedDense(40, activation="relu")
    layer.build((None, 6))

@tf.function
def summed(batch):
    def replica(x, labels):
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, gradients(layer, x, labels))
    return [strategy.experimental_local_results(one)[0] for one in strategy.run(replica, args=batch)]

data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors((x, labels)).unbatch().batch(8))
found = summed(next(iter(data)))
types = {op.type for op in summed.get_concrete_function(next(iter(data))).graph.get_operations()}
assert {"MatrixMult", "SmoothedSoftmaxXent"} <= types, types
for left, right in zip(found, gradients(layer, x, labels), strict=True):
    np.testing.assert_allclose(left, right, atol=1e-5)
"""


def test_gradients_summed_over_two_replicas_are_those_of_one_device() -> None:
    child = [sys.executable, "-c", TWO_REPLICAS]
    ran = subprocess.run(child, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert ran.returncode == 0, ran.stderr[-2000:]
