"""From the user's module and the data to a trained float32 model: precision, strategy, loop, best weights."""

import dataclasses
import logging
import time
from pathlib import Path
from types import ModuleType

import keras
import tensorflow as tf

from components.dataset import Split
from components.trainer import model, precision
from components.trainer.checkpoint import Checkpoints
from components.trainer.loop import Job, Loop, tensorboard
from components.trainer.order import Order, batches
from components.trainer.settings import TrainerSettings
from components.trainer.step import TrainStep
from components.trainer.strategy import grow_gpu_memory, make_strategy
from components.trainer.target import target_of
from lineage.records import TrainingRecord

log = logging.getLogger("slipway.trainer")

_TIMED_STEPS = 10


@dataclasses.dataclass(frozen=True)
class Training:
    """What is trained, on what, and how; features and labels are in memory."""

    module: ModuleType
    inputs: dict[str, tf.TensorSpec]
    task: str
    settings: TrainerSettings
    train: Split
    validation: Split

    def build(self, dtype_policy: str, strategy: tf.distribute.Strategy | None = None) -> model.Built:
        """A new compiled model under a Keras dtype policy, its variables on the devices of the strategy."""
        # Else names would count on from models before: auc_1, dense_7. Not inside the scope, which it would break.
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.settings.seed)
        with (strategy or tf.distribute.get_strategy()).scope(), precision.policy(dtype_policy):
            target = target_of(self.task, (self.train, self.validation))
            return model.build(self.module, self.inputs, target=target, settings=self.settings)


def train(training: Training, checkpoint_folder: Path, model_run: str) -> tuple[keras.Model, TrainingRecord]:
    """Trains, continuing from the checkpoints in the folder, which is removed at the end.

    Args:
      training: What to train on what.
      checkpoint_folder: Named by what the training is, so that nothing else is continued.
      model_run: Gets `tensorboard/`, `best.weights.h5` and `last.weights.h5`.

    Returns:
      A float32 model with the weights of the epoch of least `val_loss`, and the curves.
    """
    grow_gpu_memory()
    settings = training.settings
    strategy = make_strategy(settings)
    checkpoints = Checkpoints(checkpoint_folder, settings.checkpoint.keep)
    dtype_policy = checkpoints.choose_once("precision", lambda: _precision(training, strategy))
    built = training.build(dtype_policy, strategy)
    loop = Loop(
        Job(built, training.train, training.validation, settings, strategy), checkpoints, [tensorboard(model_run)]
    )
    record = loop.run()

    exported = training.build("float32").model  # of ordinary variables, whatever the policy and the strategy
    exported.set_weights(built.model.get_weights())
    exported.save_weights(str(Path(model_run, "last.weights.h5")))
    checkpoints.restore_best(built.model.variables)
    exported.set_weights(built.model.get_weights())
    exported.save_weights(str(Path(model_run, "best.weights.h5")))
    checkpoints.remove()
    return exported, record


def _precision(training: Training, strategy: tf.distribute.Strategy) -> str:
    """The policy that the settings name; for `auto` the fastest of those that make sense on the device."""
    if training.settings.precision != "auto":
        return training.settings.precision
    choices = precision.candidates()
    if len(choices) == 1:
        return choices[0]
    seconds = {choice: _seconds_per_step(training, strategy, choice) for choice in choices}
    fastest = min(seconds, key=seconds.__getitem__)
    measured = ", ".join(f"{choice} {1000 * value:.1f} ms a step" for choice, value in seconds.items())
    log.info("precision: %s (%s)", fastest, measured)
    return fastest


def _seconds_per_step(training: Training, strategy: tf.distribute.Strategy, dtype_policy: str) -> float:
    settings = training.settings
    built = training.build(dtype_policy, strategy)
    order = Order(len(training.train), settings.batch_size, strategy.num_replicas_in_sync, settings.seed)
    data = batches(training.train, order, strategy)
    step = TrainStep(built.model, strategy, accumulate=settings.accumulate, skip_nan=True)
    step.run(data, tf.constant(2, tf.int64))  # the first traces
    started = time.monotonic()
    step.run(data, tf.constant(_TIMED_STEPS, tf.int64))
    return (time.monotonic() - started) / _TIMED_STEPS
