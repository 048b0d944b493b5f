"""What holds of placed and sharded layers on four logical CPUs.

`python -m tests.components.parallel.facts FOLDER` prints it as a JSON object, and runs the Trainer component in FOLDER.
"""

import collections
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from components.parallel import placed, sharded
from components.parallel.devices import short_name
from components.parallel.ordinary import whole_weights
from components.trainer.model import base_optimizer, call
from components.trainer.order import Order, batches
from components.trainer.step import TrainStep
from tests.components.parallel.training import make_devices, settings, split, training
from tests.components.trainer.reference import difference
from tests.components.trainer.small_training import CLASSES, KEYS, X, train, write


def adam() -> keras.Optimizer:
    """Two slots a variable."""
    return keras.optimizers.Adam(0.01)


CASES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "adam, clip_norm": (adam, {"clip_norm": 0.3}, "float32"),
    "adam, accumulate 2": (adam, {"accumulate": 2}, "float32"),
    "mixed_float16": (adam, {"clip_norm": 0.3, "accumulate": 2}, "mixed_float16"),
}
SOURCE = """
from components.parallel import placed, sharded

def build_model(inputs_spec, hp):
    x = keras.Input([4], name="x")
    hidden = sharded(layers.Dense(6, activation="tanh"))(x)
    hidden = placed(layers.Dense(5, activation="tanh"), "CPU:3")(hidden)
    return keras.Model(x, sharded(layers.Dense(3, activation="softmax"))(hidden))
"""


def trained(case: str, *, plain: bool) -> keras.Model:
    """Three epochs with the Trainer's step."""
    optimizer, given, policy = CASES[case]
    how = settings(plain=plain, **given)
    job = training(how, optimizer)
    model, strategy = job.build(policy).model, tf.distribute.get_strategy()
    step = TrainStep(model, strategy, accumulate=how.accumulate, skip_nan=False)
    order = Order(len(job.train), how.batch_size, 1, how.seed)
    steps = how.epochs * order.steps_per_epoch
    step.run(batches(job.train, order, strategy), tf.constant(steps, tf.int64))
    return model


def differences() -> dict[str, float]:
    """The largest difference of a weight between the model on four devices and the one of plain layers, by case."""
    return {
        case: difference(trained(case, plain=True).get_weights(), whole_weights(trained(case, plain=False)))
        for case in CASES
    }


def places(variables: list[keras.Variable]) -> dict[str, str]:
    """Devices by path."""
    return {variable.path: short_name(variable.value.device) for variable in variables}


def by_device(kind: str, function: Callable[..., Any], *inputs: Any) -> dict[str, int]:
    """Operations of a kind in the graph of a function."""
    operations = tf.function(function).get_concrete_function(*inputs).graph.get_operations()
    counted = collections.Counter(short_name(operation.device) for operation in operations if operation.type == kind)
    return dict(sorted(counted.items()))


def products_of_layers() -> dict[str, int]:
    """Matrix products, forward and backward."""
    model = keras.Sequential([placed(layers.Dense(7), "CPU:1"), sharded(layers.Dense(8))])
    model.build([None, 2])

    def gradients(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(model(x) ** 2)
        return tape.gradient(loss, model.trainable_variables)

    return by_device("MatMul", gradients, tf.zeros([3, 2]))


def work_of_step(model: keras.Model) -> dict[str, dict[str, int]]:
    """Sums of gradients of embeddings, checks of all gradients, and roots in Adam's update, two a variable."""
    step = TrainStep(model, tf.distribute.get_strategy(), accumulate=1, skip_nan=False)
    rows = batches(split("train", 0), Order(203, 32, 1, 0), tf.distribute.get_strategy())
    gradients = [tf.zeros(variable.shape) for variable in model.trainable_variables]
    return {
        "UnsortedSegmentSum": by_device("UnsortedSegmentSum", step._gradients, next(rows)),
        "IsFinite": by_device("IsFinite", step._gradients, next(rows)),
        "Sqrt": by_device("Sqrt", step._apply, gradients),
    }


class Subclassed(keras.Model):
    """A model whose layers are built when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = placed(keras.Sequential([layers.Dense(6), layers.Dropout(0.0)]), "CPU:2")
        self.out = sharded(layers.Dense(5), ["CPU:3", "CPU:1"])

    def call(self, inputs: Any) -> Any:
        """`[batch, 4]` to `[batch, 5]`."""
        return self.out(self.hidden(inputs))


def masked() -> float:
    """Of a recurrent layer after an Embedding with a mask: difference of gradients between placed and plain."""
    ids = tf.constant([[1, 2, 0], [3, 0, 0]])
    gradients = []
    for shard, place in ((sharded, placed), (lambda layer: layer, lambda layer, device: layer)):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([shard(layers.Embedding(5, 4, mask_zero=True)), place(layers.GRU(3), "CPU:2")])
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(ids) ** 2)
        found = [tf.convert_to_tensor(one) for one in tape.gradient(loss, model.trainable_variables)]
        count = len(found) - 3  # of the parts of the embeddings
        gradients.append([np.concatenate(found[:count], axis=-1), *found[count:]])
    return difference(*gradients)


def fitted() -> float:
    """Difference of weights after `fit`, between the model on four devices and the one of plain layers."""
    weights = []
    for plain in (True, False):
        job = training(settings(plain=plain), adam)
        model = job.build("float32").model
        model.fit(job.train.features, job.train.labels, batch_size=32, epochs=2, shuffle=False, verbose=0)
        weights.append(whole_weights(model))
    return difference(*weights)


def saved(folder: Path) -> float:
    """Difference of what a model says after it is saved and loaded."""
    model = training(settings(plain=False)).build("float32").model
    features = split("train", 0).features
    expected = call(model, features)
    model.save(folder / "model.keras")
    return float(tf.reduce_max(tf.abs(call(keras.models.load_model(folder / "model.keras"), features) - expected)))


def main(folder: Path) -> None:
    """Prints all of it."""
    make_devices(4)
    model = trained("adam, accumulate 2", plain=False)
    subclassed = Subclassed()
    subclassed(tf.zeros([2, 4]))
    train(folder, write(folder / "data", CLASSES, X, KEYS), SOURCE, task="multiclass", epochs=2)
    facts = {
        "first weights": difference(
            training(settings(plain=True)).build("float32").model.get_weights(),
            whole_weights(training(settings(plain=False)).build("float32").model),
        ),
        "differences": differences(),
        "weights": places(model.weights),
        "slots": places(base_optimizer(model.optimizer).variables),
        "products": products_of_layers(),
        "work of a step": work_of_step(model),
        "subclassed": places(subclassed.weights),
        "masked": masked(),
        "fitted": fitted(),
        "saved": saved(folder),
    }
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
