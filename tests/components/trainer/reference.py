"""Trains a small model with the Trainer's step and with a plain GradientTape loop over the whole batch on one device.

Run as a process of its own, since a number of devices is for life: `python -m tests.components.trainer.reference
--replicas 2` (or `--workers 2`: processes) prints a JSON object of the largest difference of a weight by case.
"""

import argparse
import dataclasses
import itertools
import json
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from components.dataset import Split
from components.trainer import precision
from components.trainer.cluster import Cluster, of_chief
from components.trainer.fused_adam import fuse
from components.trainer.model import base_optimizer
from components.trainer.order import Order, batches
from components.trainer.processes import train_in_processes
from components.trainer.settings import TrainerSettings
from components.trainer.step import TrainStep
from components.trainer.strategy import make_strategy
from components.trainer.training import Training

ROWS, BATCH, EPOCHS, SEED = 701, 64, 3, 5  # 701: the last step of an epoch has 61 rows, which no 4 parts share equally

OPTIMIZERS: dict[str, Any] = {
    "sgd+momentum": lambda **clip: keras.optimizers.SGD(0.1, momentum=0.9, **clip),
    "adam": lambda **clip: keras.optimizers.Adam(0.01, **clip),
    "adamw+ema+schedule": lambda **clip: keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(0.01, 30), use_ema=True, ema_overwrite_frequency=10, **clip
    ),
}
CLASS_WEIGHT = {0: 2.0, 2: 0.5}
CLIPS: dict[str, dict[str, float]] = {
    "no clip": {},
    "norm": {"global_clipnorm": 0.2},
    "value": {"clipvalue": 0.01},
    "variable norm": {"clipnorm": 0.05},
}


class Case(NamedTuple):
    """What is trained with."""

    optimizer: str
    clip: str = "no clip"
    policy: str = "float32"
    weighted: bool = False
    lookup: bool = False
    jit: bool = False


def data(weighted: bool = False) -> Split:
    """Rows of three classes, some of them odd enough to be clipped; their weights are 0, 1 or 2, or all 1."""
    random = np.random.default_rng(0)
    features, labels = random.normal(size=(ROWS, 8)).astype(np.float32), random.integers(0, 3, ROWS)
    features[::50] *= 10
    weights = tf.constant(random.integers(0, 3, ROWS), tf.float32) if weighted else ()
    return Split("train", {"x": tf.constant(features)}, tf.constant(labels), weights)


def model(lookup: bool = False) -> keras.Model:
    """The same first weights at every call; on a lookup of which a step needs few of the rows, some more than once."""
    keras.utils.set_random_seed(1)
    x = keras.Input([8], name="x")
    hidden = layers.Dense(16, activation="tanh")(x)
    if lookup:
        rows = keras.ops.cast(keras.ops.abs(x) * 300, "int32") % 1000
        hidden = layers.Concatenate()([hidden, layers.Flatten()(layers.Embedding(40_000, 2)(rows))])
    built = keras.Model(x, layers.Dense(3, activation="softmax")(hidden))
    precision.outputs_in_float32(built)
    return built


def reference(case: Case) -> list[np.ndarray]:
    """One large batch on one device: tape, mean of the losses (each times its weight), apply."""
    policy, weighted = case.policy, case.weighted
    optimizer = OPTIMIZERS[case.optimizer](**CLIPS[case.clip])
    with precision.policy(policy):
        net = model(case.lookup)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024)
    optimizer.build(net.trainable_variables)
    losses = keras.losses.SparseCategoricalCrossentropy(reduction="none")
    order = Order(ROWS, BATCH, 1, SEED)
    rows = batches(data(weighted), order, tf.distribute.get_strategy())
    for _ in range(EPOCHS * order.steps_per_epoch):
        batch = next(rows).rows
        with tf.GradientTape() as tape:
            weights = batch.weights * of_class(batch.labels) if weighted else 1.0
            mean = tf.reduce_mean(weights * losses(batch.labels, net(batch.features["x"], training=True)))
            loss = optimizer.scale_loss(mean)
        # Dense: of rows that a step looks up twice Keras' Adam would square the two gradients, not their sum.
        gradients = [tf.convert_to_tensor(one) for one in tape.gradient(loss, net.trainable_variables)]
        optimizer.apply(gradients, net.trainable_variables)
    return net.get_weights()


def of_class(labels: tf.Tensor) -> tf.Tensor:
    """The weight of each label's class."""
    return tf.gather([CLASS_WEIGHT.get(label, 1.0) for label in range(3)], labels)


def trained(case: Case, strategy: tf.distribute.Strategy, accumulate: int) -> list[np.ndarray]:
    """The Trainer's step, in two calls of many steps."""
    optimizer = partial(OPTIMIZERS[case.optimizer], **CLIPS[case.clip])
    class_weight = CLASS_WEIGHT if case.weighted else {}
    net, step = compiled(optimizer, case, strategy, accumulate, class_weight=class_weight, jit=case.jit)
    order = Order(ROWS, BATCH, strategy.num_replicas_in_sync, SEED)
    rows = batches(data(case.weighted), order, strategy)
    total = EPOCHS * order.steps_per_epoch
    for count in (total // 2, total - total // 2):
        step.run(rows, tf.constant(count, tf.int64))
    return net.get_weights()


def compiled(
    make_optimizer: Callable[[], keras.Optimizer],
    case: Case,
    strategy: tf.distribute.Strategy,
    accumulate: int,
    **options: Any,
) -> tuple[keras.Model, TrainStep]:
    """A model ready to be trained; `options` are those of TrainStep."""
    with strategy.scope():
        with precision.policy(case.policy):
            net = model(case.lookup)
        optimizer = make_optimizer()
        if case.policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024)
        net.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], auto_scale_loss=False)
        net._symbolic_build(data_batch=(tf.zeros([2, 8]), tf.zeros([2], tf.int64)))
        fuse(base_optimizer(net.optimizer))
        net.optimizer.build(net.trainable_variables)
    return net, TrainStep(net, strategy, accumulate=accumulate, **{"skip_nan": False} | options)


def difference(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """The largest difference of a weight."""
    return max(float(np.abs(one - other).max()) for one, other in zip(first, second, strict=True))


def cases() -> list[Case]:
    """Each optimizer, each clip, each precision, and weights of rows and classes."""
    plain = [Case(optimizer) for optimizer in OPTIMIZERS]
    clipped = [Case("sgd+momentum", clip) for clip in CLIPS if clip != "no clip"]
    mixed = [Case("adam", "norm", policy) for policy in ("mixed_bfloat16", "mixed_float16")]
    return [*plain, *clipped, *mixed, Case("sgd+momentum", weighted=True), Case("adamw+ema+schedule", lookup=True)]


def all_cases() -> list[Case]:
    """Every optimizer with every clip in every precision, without and with weights."""
    policies = ("float32", "mixed_bfloat16", "mixed_float16")
    dense = [Case(*choice) for choice in itertools.product(OPTIMIZERS, CLIPS, policies, (False, True))]
    # Not Adam at 0.01: where a gradient is near its epsilon, rounding is enlarged to 1.2e-6, on one device too.
    return [*dense, *(Case(optimizer, lookup=True) for optimizer in ("sgd+momentum", "adamw+ema+schedule"))]


def skipped(strategy: tf.distribute.Strategy, accumulate: int) -> float:
    """A NaN in one row of step 7, in the last replica's part, against a run without that step."""
    rows, replicas = data(), strategy.num_replicas_in_sync
    order = Order(ROWS, BATCH, replicas, SEED)
    [row, *_], _ = order.rows(tf.constant(7, tf.int64), tf.constant(replicas - 1, tf.int64))
    poisoned = tf.tensor_scatter_nd_update(rows.features["x"], [[row, 0]], [float("nan")])
    weights = []
    for split, spans in ((Split("train", {"x": poisoned}, rows.labels), [(0, 11)]), (rows, [(0, 7), (8, 3)])):
        net, step = compiled(OPTIMIZERS["adam"], Case("adam"), strategy, accumulate, skip_nan=True)
        for first, count in spans:
            step.run(batches(split, order, strategy, first), tf.constant(count, tf.int64))
        assert np.isfinite(float(net.get_metrics_result()["loss"])), "the loss of the epoch is that of the other steps"
        weights.append([*net.get_weights(), *(np.asarray(value) for value in net.optimizer.variables)])
    return difference(*weights)


def compare(strategy: tf.distribute.Strategy, which: str) -> dict[str, float]:
    """The differences of `some` or `all` cases, with 4 micro-batches, and where that says more with 1, too."""
    found = {}
    # XLA cannot compile what several replicas of a process share.
    by_xla = [] if isinstance(strategy, tf.distribute.MirroredStrategy) else [Case("sgd+momentum", "norm", jit=True)]
    for case in [*(all_cases() if which == "all" else cases()), *by_xla]:
        expected = reference(case)
        for accumulate in (1, 4) if which == "all" or case == Case(case.optimizer) else (4,):
            found[f"{case}, accumulate {accumulate}"] = difference(expected, trained(case, strategy, accumulate))
    for accumulate in (1, 4):
        found[f"NaN skipped, accumulate {accumulate}"] = skipped(strategy, accumulate)
    if isinstance(strategy, tf.distribute.MirroredStrategy):
        found["dropout in common"] = dropout_in_common(strategy)
    return found


def dropout_in_common(strategy: tf.distribute.Strategy) -> float:
    """The share of 10,000 masks of dropout (a half is kept) in which the first two replicas agree."""
    module = SimpleNamespace(build_model=lambda inputs, hp: keras.Sequential([layers.Dropout(0.5), layers.Dense(3)]))
    inputs = {"x": tf.TensorSpec([None, 8], tf.float32, name="x")}
    training = Training(module, inputs, "multiclass", TrainerSettings(), data(), data())  # type: ignore[arg-type]
    dropout = training.build("float32", strategy).model.layers[0]
    masks = strategy.run(lambda: dropout(tf.ones([1250, 8]), training=True) > 0)
    first, second = strategy.experimental_local_results(masks)[:2]
    return float(tf.reduce_mean(tf.cast(first == second, tf.float32)))


def in_worker(cluster: Cluster, argument: str) -> None:
    """Compares as one of the processes of a cluster; the chief prints."""
    strategy = make_strategy(TrainerSettings(strategy="multi_worker"), cluster)
    found = compare(strategy, argument)
    if cluster.is_chief:
        print(json.dumps(found))


def main(replicas: int, workers: int, which: str) -> None:
    """Compares over replicas in this process, or over processes of one replica each, and prints the differences."""
    if workers > 1:
        chief = of_chief(workers)
        train_in_processes([dataclasses.replace(chief, index=i) for i in range(workers)], in_worker, which, restarts=0)
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    strategy = make_strategy(TrainerSettings(strategy="mirrored" if replicas > 1 else "one_device", batch_size=12))
    print(json.dumps(compare(strategy, which)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--cases", dest="which", choices=["some", "all"], default="some")
    main(**vars(parser.parse_args()))
