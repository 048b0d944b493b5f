"""Trains with `accumulate: auto` where the whole batch does not fit in memory, and prints the micro-batches chosen.

A process of its own: `python -m tests.components.trainer.out_of_memory FOLDER` limits its address space for good.
"""

import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import tensorflow as tf
from keras import layers

from components.dataset import Split
from components.trainer.checkpoint import Checkpoints
from components.trainer.choices import Choices
from components.trainer.settings import TrainerSettings
from components.trainer.training import Training

WIDE = 1 << 21  # 8 MiB a row
ROWS = 64


def build_model(inputs_spec: dict[str, tf.TensorSpec], hp: dict[str, float]) -> keras.Model:
    """Few weights, and an activation of 8 MiB a row."""
    x = keras.Input([1], name="x")
    wide = keras.ops.tile(layers.Dense(1)(x), [1, WIDE])
    return keras.Model(x, layers.Dense(1)(keras.ops.mean(keras.ops.square(wide), axis=1, keepdims=True)))


def main(folder: Path) -> None:
    """Leaves room for some rows, not for all 64 of them and their gradients, which take half a GiB each."""
    split = Split("train", {"x": tf.random.normal([ROWS, 1])}, tf.random.normal([ROWS]))
    settings = TrainerSettings(batch_size=ROWS, accumulate="auto")
    inputs = {"x": tf.TensorSpec([None, 1], tf.float32, name="x")}
    module = SimpleNamespace(build_model=build_model)
    training = Training(module, inputs, "regression", settings, split, split)  # type: ignore[arg-type]
    training.build("float32")  # what TensorFlow itself needs is there before the limit
    [used] = [int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmSize" in line]
    resource.setrlimit(resource.RLIMIT_AS, (used * 1024 + (1 << 30), resource.RLIM_INFINITY))
    print(Choices(training, tf.distribute.get_strategy(), Checkpoints(folder, keep=1)).resolve().accumulate)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
