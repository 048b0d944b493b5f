"""From the user's module and the data to a trained float32 model: choices, loop, best weights."""

import logging
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import custom_ops
from components.parallel.memory import bytes_by_device
from components.parallel.ordinary import ordinary_layers, set_whole_weights, whole_weights
from components.trainer import ops
from components.trainer.callbacks import tensorboard
from components.trainer.checkpoint import Checkpoints
from components.trainer.choices import Choices
from components.trainer.loop import Job, Loop
from components.trainer.profile import StepProfile
from components.trainer.training import Training
from components.trainer.warm_start import read_weights
from components.trainer.workers import Workers
from lineage.records import TrainingRecord

log = logging.getLogger("slipway.trainer")


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
    workers = Workers(strategy)
    checkpoints = Checkpoints(checkpoint_folder, training.settings.checkpoint.keep)
    settings = Choices(training, strategy, checkpoints).resolve()
    begun = workers.of_chief(checkpoints.newest()) > 0
    weights = None if begun else _warm_weights(training)
    built = training.build(settings.precision, strategy)
    if weights is not None:
        set_whole_weights(built.model, weights)
    logs = Path(model_run, "tensorboard")
    callbacks = [tensorboard(logs)] if workers.is_chief else []
    profile = StepProfile(settings.profile, logs if workers.is_chief else None)
    loop = Loop(Job(built, training.train, training.validation, settings, strategy), checkpoints, callbacks, profile)
    memory = _memory(built.model, strategy)
    about = {
        "bytes_by_device": memory,
        "warm_start": str(training.warm_start or ""),
        "custom_ops": ops.chosen(settings.ops),
    }
    record = loop.run().model_copy(update=about)
    if not workers.is_chief:
        return built.model, record
    if settings.profile and not record.step_times:
        log.warning("trainer.profile: the training ended before step %d; none was profiled.", settings.profile[0])

    # And ordinary variables, whatever the policy and the strategy; no function of it may be traced with a custom op.
    with ordinary_layers(), custom_ops.composite():
        exported = training.build("float32").model
    exported.set_weights(whole_weights(built.model))
    exported.save_weights(str(Path(model_run, "last.weights.h5")))
    checkpoints.restore_best(built.model.variables)
    exported.set_weights(whole_weights(built.model))
    exported.save_weights(str(Path(model_run, "best.weights.h5")))
    checkpoints.remove()
    return exported, record


def _warm_weights(training: Training) -> list[Any] | None:
    if training.warm_start is None:
        return None
    with ordinary_layers():
        ordinary = training.build("float32").model
        weights = read_weights(training.warm_start, ordinary)
    log.info("Beginning with the weights of %s.", training.warm_start)
    return weights


def _memory(model: keras.Model, strategy: tf.distribute.Strategy) -> dict[str, int]:
    """Bytes of weights and slots by device of this process, said where there are several."""
    found = bytes_by_device([*model.variables, *model.optimizer.variables], strategy)
    if len(found) > 1:
        sizes = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in found.items())
        log.info("memory: %s of weights and slots", sizes)
    return found
