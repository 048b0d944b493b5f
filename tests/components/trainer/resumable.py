"""A training that can be killed: `python -m tests.components.trainer.resumable FOLDER` trains, continuing from the
checkpoints in FOLDER, and leaves the weights as FOLDER/weights.npz. With `--die-in-write N` it kills itself (-9) in the
middle of its N-th write of a file of a checkpoint; with `--disk` its examples are on disk.

Everything that a resume can get wrong is in the model: dropout and augmentation seeds, batch statistics, a schedule,
momentum, early stopping.
"""

import argparse
import dataclasses
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from components.dataset import AnySplit, DiskSplit, Split
from components.dataset.disk import is_written
from components.trainer import checkpoint
from components.trainer.cluster import Cluster, of_chief
from components.trainer.processes import train_in_processes
from components.trainer.settings import TrainerSettings
from components.trainer.strategy import make_strategy
from components.trainer.train import train
from components.trainer.training import Training
from tests.components.dataset.columns import on_disk

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


def held_on_disk(split: Split, folder: Path) -> DiskSplit:
    """The split on disk, as it was left there if it was, in windows of ten rows."""
    return (
        DiskSplit(split.name, folder, 8000)
        if is_written(folder)
        else on_disk(split, folder, block_rows=10, memory=8000)
    )


def die_in_write(number: int) -> None:
    """Kills the process when the file of that write is there but not yet renamed."""
    written = [0]

    def sync_or_die(path: Path) -> None:
        written[0] += 1
        if written[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoint._sync = sync_or_die


def work(cluster: Cluster | None, argument: str) -> None:
    """Trains to the end, if it is let; as one of the processes of a cluster, or alone."""
    folder, write, replicas, disk = (
        Path(json.loads(argument)["folder"]),
        *map(json.loads(argument).get, ("write", "replicas", "disk")),
    )
    if cluster is not None:
        (folder / f"worker-{cluster.index}.pid").write_text(str(os.getpid()))
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
    strategy = make_strategy(settings, cluster)
    module = SimpleNamespace(build_model=build_model, optimizer=optimizer)
    inputs = {"image": tf.TensorSpec([None, 6, 6, 1], tf.float32, name="image")}
    splits: list[AnySplit] = [split("train", 0), split("eval", 1)]
    if disk:
        splits = [held_on_disk(each, folder / "checkpoints" / "examples" / each.name) for each in splits]
    training = Training(module, inputs, "multiclass", settings, *splits)  # type: ignore[arg-type]
    print("training", flush=True)
    trained, record = train(training, strategy, folder / "checkpoints", str(folder))
    if cluster is not None and not cluster.is_chief:
        return
    arrays = {f"w{number}": weight for number, weight in enumerate(trained.get_weights())}
    np.savez(folder / "partial.npz", **arrays, val_loss=record.history["val_loss"], loss=record.history["loss"])
    (folder / "partial.npz").rename(folder / "weights.npz")


def main(folder: Path, workers: int, restarts: int, **given: int) -> None:
    """Does the work here, or in processes of their own."""
    argument = json.dumps({"folder": str(folder)} | given)
    if workers == 1:
        work(None, argument)
        return
    chief = of_chief(workers)
    train_in_processes([dataclasses.replace(chief, index=i) for i in range(workers)], work, argument, restarts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--die-in-write", type=int, default=0, dest="write")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--disk", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--restarts", type=int, default=3)
    main(**vars(parser.parse_args()))
