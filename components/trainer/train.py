"""From the user's module and the data to a trained float32 model: precision, strategy, loop, best weights."""

import dataclasses
import logging
import time
from pathlib import Path
from types import ModuleType

import keras
import tensorflow as tf

from components.dataset import AnySplit
from components.parallel.memory import bytes_by_device
from components.parallel.ordinary import ordinary_layers, whole_weights
from components.trainer import model, precision
from components.trainer.checkpoint import Checkpoints
from components.trainer.loop import Job, Loop, tensorboard
from components.trainer.order import Order, batches
from components.trainer.settings import TrainerSettings
from components.trainer.step import TrainStep
from components.trainer.target import target_of
from components.trainer.workers import Workers
from lineage.records import TrainingRecord

log = logging.getLogger("slipway.trainer")

_TIMED_STEPS = 10


@dataclasses.dataclass(frozen=True)
class Training:
    """What is trained, on what, and how; the rows are in memory or on disk."""

    module: ModuleType
    inputs: dict[str, tf.TensorSpec]
    task: str
    settings: TrainerSettings
    train: AnySplit
    validation: AnySplit

    def build(self, dtype_policy: str, strategy: tf.distribute.Strategy | None = None) -> model.Built:
        """A new compiled model under a Keras dtype policy, its variables on the devices of the strategy."""
        # Else names would count on from models before: auc_1, dense_7. Not inside the scope, which it would break.
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.settings.seed)
        with (strategy or tf.distribute.get_strategy()).scope(), precision.policy(dtype_policy):
            target = target_of(self.task, (self.train, self.validation))
            return model.build(self.module, self.inputs, target=target, settings=self.settings)


def train(
    training: Training, strategy: tf.distribute.Strategy, checkpoint_folder: Path, model_run: str
) -> tuple[keras.Model, TrainingRecord]:
    """Trains, continuing from the checkpoints in the folder.

    Args:
      training: What to train on what.
      strategy: What `make_strategy` gave for the settings.
      checkpoint_folder: Named by what the training is, so that nothing else is continued; removed at the end.
      model_run: Gets `tensorboard/`, `best.weights.h5` and `last.weights.h5`.

    Returns:
      A float32 model with the weights of the epoch of least `val_loss`, and the curves. Of several processes only the
      chief writes; the model of the others is that of the last epoch.
    """
    settings = training.settings
    workers = Workers(strategy)
    checkpoints = Checkpoints(checkpoint_folder, settings.checkpoint.keep)
    built = training.build(_precision(training, strategy, checkpoints), strategy)
    callbacks = [tensorboard(model_run)] if workers.is_chief else []
    loop = Loop(Job(built, training.train, training.validation, settings, strategy), checkpoints, callbacks)
    memory = _memory(built.model, strategy)
    record = loop.run().model_copy(update={"bytes_by_device": memory})
    if not workers.is_chief:
        return built.model, record

    with ordinary_layers():  # and ordinary variables, whatever the policy and the strategy
        exported = training.build("float32").model
    exported.set_weights(whole_weights(built.model))
    exported.save_weights(str(Path(model_run, "last.weights.h5")))
    checkpoints.restore_best(built.model.variables)
    exported.set_weights(whole_weights(built.model))
    exported.save_weights(str(Path(model_run, "best.weights.h5")))
    checkpoints.remove()
    return exported, record


def _memory(model: keras.Model, strategy: tf.distribute.Strategy) -> dict[str, int]:
    """Bytes of weights and slots by device of this process, said where there are several."""
    found = bytes_by_device([*model.variables, *model.optimizer.variables], strategy)
    if len(found) > 1:
        sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in found.items())
        log.info("memory: %s of weights and slots", sizes)
    return found


def _precision(training: Training, strategy: tf.distribute.Strategy, checkpoints: Checkpoints) -> str:
    """The policy that the settings name; for `auto` the fastest of those that make sense on the device."""
    if training.settings.precision != "auto":
        return training.settings.precision
    choices = precision.candidates()
    workers = Workers(strategy)
    if workers.total([len(choices)])[0] != workers.count * len(choices):
        return "float32"  # hosts that differ
    noted = checkpoints.noted("precision")
    chosen = workers.of_chief(choices.index(noted) if noted else -1)
    if chosen < 0:
        chosen = workers.of_chief(_fastest(training, strategy, choices))
        if workers.is_chief:
            checkpoints.note("precision", choices[chosen])
    return choices[chosen]


def _fastest(training: Training, strategy: tf.distribute.Strategy, choices: tuple[str, ...]) -> int:
    if len(choices) == 1:
        return 0
    seconds = [_seconds_per_step(training, strategy, choice) for choice in choices]
    fastest = seconds.index(min(seconds))
    measured = ", ".join(
        f"{choice} {1000 * value:.1f} ms a step" for choice, value in zip(choices, seconds, strict=True)
    )
    log.info("precision: %s (%s)", choices[fastest], measured)
    return fastest


def _seconds_per_step(training: Training, strategy: tf.distribute.Strategy, dtype_policy: str) -> float:
    settings = training.settings
    built = training.build(dtype_policy, strategy)
    order = Order(
        len(training.train),
        settings.batch_size,
        strategy.num_replicas_in_sync,
        settings.seed,
        training.train.blocks,
    )
    data = batches(training.train, order, strategy)
    step = TrainStep(built.model, strategy, accumulate=settings.accumulate, skip_nan=True)
    step.run(data, tf.constant(2, tf.int64))  # the first traces
    started = time.monotonic()
    step.run(data, tf.constant(_TIMED_STEPS, tf.int64))
    return (time.monotonic() - started) / _TIMED_STEPS
