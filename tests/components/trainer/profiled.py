"""A training over two replicas of which some steps are profiled: `python -m tests.components.trainer.profiled FOLDER`
leaves its TrainingRecord and its trace in FOLDER. A process of its own, since a number of devices is for life.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from components.dataset import Split
from components.trainer.settings import TrainerSettings
from components.trainer.strategy import make_strategy
from components.trainer.train import train
from components.trainer.training import Training
from tests.components.small_data import LABEL
from tests.components.trainer.small_training import CLASSES

INPUTS = {"x": tf.TensorSpec([None, 4], tf.float32, name="x")}


def build_model(inputs_spec: dict[str, tf.TensorSpec], hp: dict[str, Any]) -> keras.Model:
    """A hidden layer."""
    hidden = layers.Dense(16, activation="relu")
    return keras.Sequential([keras.Input([4]), hidden, layers.Dense(3, activation="softmax")])


def training(settings: TrainerSettings, **hooks: Any) -> Training:
    """Of fifty rows."""
    splits = [
        Split(name, {"x": tf.constant(CLASSES[name]["x"])}, tf.constant(CLASSES[name][LABEL]))
        for name in ("train", "eval")
    ]
    module: Any = SimpleNamespace(build_model=build_model, **hooks)
    return Training(module, INPUTS, "multiclass", settings, *splits)


def main(folder: Path) -> None:
    """Trains three epochs of four steps; the profiled ones are of two epochs."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    settings = TrainerSettings(epochs=3, batch_size=14, strategy="mirrored", profile=(3, 7))
    _, record = train(training(settings), make_strategy(settings), folder / "checkpoints", str(folder))
    record.save(str(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
