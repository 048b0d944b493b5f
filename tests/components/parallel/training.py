"""Trains a model with placed and sharded layers, and the same one of plain Keras layers, for the tests of them.

`python -m tests.components.parallel.training FOLDER`, a process of its own since a number of devices is for life,
trains and leaves `weights.npz`, the exported weights, and the curves. `--plain`: of plain layers; `--workers 2`:
hybrid, in processes of two devices each, the second of which draws other first weights and leaves its last as
`worker.npz`; `--die-in-write N`: kills itself in its N-th write of a checkpoint.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from components.dataset import Split
from components.parallel import placed, sharded
from components.parallel.ordinary import whole_weights
from components.trainer.cluster import Cluster, of_chief
from components.trainer.processes import train_in_processes
from components.trainer.settings import TrainerSettings
from components.trainer.strategy import make_strategy
from components.trainer.train import train
from components.trainer.training import Training
from tests.components.trainer.resumable import die_in_write

ROWS = 203
INPUTS = {
    "ids": tf.TensorSpec([None, 4], tf.int64, name="ids"),
    "x": tf.TensorSpec([None, 8], tf.float32, name="x"),
}


@keras.saving.register_keras_serializable()
class Block(layers.Layer):
    """A layer as users write it: without a `build`, with a loss of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wide, self.narrow = layers.Dense(12, activation="relu"), layers.Dense(5)
        self.normal = layers.BatchNormalization()

    def call(self, inputs: Any, training: bool = False) -> Any:
        """`[batch, n]` to `[batch, 5]`."""
        hidden = self.wide(self.normal(inputs, training=training))
        self.add_loss(0.01 * keras.ops.mean(keras.ops.square(keras.ops.cast(hidden, "float32"))))
        return self.narrow(hidden)


def build_model(inputs_spec: dict[str, tf.TensorSpec], hp: dict[str, Any]) -> keras.Model:
    """Columns that four devices cannot share equally, and a last layer with fewer columns than devices."""
    shard = (lambda layer: layer) if hp["plain"] else sharded
    place = (lambda layer, device: layer) if hp["plain"] else placed
    ids, x = (keras.Input(spec.shape[1:], name=name, dtype=spec.dtype) for name, spec in inputs_spec.items())
    words = layers.Flatten()(shard(layers.Embedding(30, 6))(ids))
    numbers = place(Block(), "CPU:1")(x)
    hidden = layers.Concatenate()([words, numbers])
    hidden = shard(layers.Dense(11, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.01)))(hidden)
    hidden = place(layers.Dense(7, activation="tanh"), "CPU:1")(hidden)
    return keras.Model({"ids": ids, "x": x}, shard(layers.Dense(3, activation="softmax"))(hidden))


def split(name: str, seed: int) -> Split:
    """Rows whose class an id and a number give away."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, ROWS)
    x = random.normal(size=(ROWS, 8)).astype(np.float32)
    x[:, 0] += labels
    ids = random.integers(0, 30, (ROWS, 4))
    ids[:, 0] = labels
    return Split(name, {"ids": tf.constant(ids), "x": tf.constant(x)}, tf.constant(labels))


def adamw() -> keras.Optimizer:
    """Three slots a variable, and all that an optimizer does to it: update, decay, overwriting by the average."""
    return keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=5)


def settings(*, plain: bool, **given: Any) -> TrainerSettings:
    """Three epochs, the last step of each uneven."""
    defaults: dict[str, Any] = {"epochs": 3, "batch_size": 32, "early_stopping": 0}
    return TrainerSettings(**defaults | given, hyperparameters={"plain": plain})


def training(how: TrainerSettings, optimizer: Callable[[], keras.Optimizer] = adamw) -> Training:
    """Of the model above."""
    module: Any = SimpleNamespace(build_model=build_model, optimizer=lambda hp: optimizer())
    return Training(module, INPUTS, "multiclass", how, split("train", 0), split("eval", 1))


def make_devices(count: int) -> None:
    """Logical CPUs, before TensorFlow runs anything."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


def work(cluster: Cluster | None, argument: str) -> None:
    """Trains to the end, if it is let; as one of the processes of a cluster, or alone."""
    given = json.loads(argument)
    folder = Path(given["folder"])
    make_devices(2 if cluster else 4)
    if cluster and not cluster.is_chief:
        _draw_other_weights()
    if given["write"]:
        die_in_write(given["write"])
    hybrid = {"strategy": "multi_worker", "workers": 2, "model_parallel": True} if cluster else {}
    how = settings(plain=given["plain"], clip_norm=0.3, checkpoint={"every_steps": 3}, **hybrid)
    strategy = make_strategy(how, cluster)
    exported, record = train(training(how), strategy, folder / "checkpoints", str(folder))
    if cluster and not cluster.is_chief:
        np.savez(folder / "worker.npz", *whole_weights(exported))
        return
    np.savez(folder / "weights.npz", *exported.get_weights())
    record.save(str(folder))


def _draw_other_weights() -> None:
    seed = keras.utils.set_random_seed
    keras.utils.set_random_seed = lambda number: seed(number + 1)


def main(folder: Path, workers: int, **given: Any) -> None:
    """Does the work here, or in processes of their own."""
    argument = json.dumps({"folder": str(folder)} | given)
    if workers == 1:
        work(None, argument)
    else:
        chief = of_chief(workers)
        train_in_processes([dataclasses.replace(chief, index=i) for i in range(workers)], work, argument, restarts=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--die-in-write", type=int, default=0, dest="write")
    main(**vars(parser.parse_args()))
