"""A training that can be killed: `python -m tests.components.trainer.resumable FOLDER` trains, continuing from the
checkpoints in FOLDER, and leaves the weights as FOLDER/weights.npz. With `--die-in-write N` it kills itself (-9) in the
middle of its N-th write of a file of a checkpoint.

Everything that a resume can get wrong is in the model: dropout and augmentation seeds, batch statistics, a schedule,
momentum, early stopping.
"""

import argparse
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from components.dataset import Split
from components.trainer import checkpoint
from components.trainer.settings import TrainerSettings
from components.trainer.train import Training, train

ROWS = 203


def build_model(inputs_spec: dict[str, tf.TensorSpec], hp: dict[str, float]) -> keras.Model:
    """Augmentation, dropout and batch normalization before a softmax."""
    return keras.Sequential(
        [
            keras.Input([6, 6, 1], name="image"),
            layers.RandomTranslation(0.1, 0.1),
            layers.Flatten(),
            layers.Dense(16, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )


def optimizer(hp: dict[str, float]) -> keras.optimizers.Optimizer:
    """Adam on a schedule."""
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 60))


def split(name: str, seed: int) -> Split:
    """Images whose class is where they are bright."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, ROWS)
    images = random.normal(size=(ROWS, 6, 6, 1)).astype(np.float32)
    images[np.arange(ROWS), labels * 2] += 1
    return Split(name, {"image": tf.constant(images)}, tf.constant(labels))


def die_in_write(number: int) -> None:
    """Kills the process when the file of that write is there but not yet renamed."""
    written = [0]

    def sync_or_die(path: Path) -> None:
        written[0] += 1
        if written[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint._sync = sync_or_die


def main(folder: Path, write: int, replicas: int) -> None:
    """Trains to the end, if it is let."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    if write:
        die_in_write(write)
    settings = TrainerSettings(
        epochs=8,
        batch_size=16,
        accumulate=2,
        strategy="mirrored" if replicas > 1 else "one_device",
        early_stopping=3,
        checkpoint={"every_steps": 3, "keep": 2},
    )
    module = SimpleNamespace(build_model=build_model, optimizer=optimizer)
    inputs = {"image": tf.TensorSpec([None, 6, 6, 1], tf.float32, name="image")}
    training = Training(module, inputs, "multiclass", settings, split("train", 0), split("eval", 1))  # type: ignore[arg-type]
    print("training", flush=True)
    trained, record = train(training, folder / "checkpoints", str(folder))
    arrays = {f"w{number}": weight for number, weight in enumerate(trained.get_weights())}
    np.savez(folder / "partial.npz", **arrays, val_loss=record.history["val_loss"], loss=record.history["loss"])
    (folder / "partial.npz").rename(folder / "weights.npz")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die-in-write", type=int, default=0)
    parser.add_argument("--replicas", type=int, default=1)
    arguments = parser.parse_args()
    main(arguments.folder, arguments.die_in_write, arguments.replicas)
