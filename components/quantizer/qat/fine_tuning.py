"""Trains a trained model on in the Trainer's own step, with what its quantized file rounds rounded, and without.

Precision, strategy, micro-batches, clipping, loss, weights and augmentation are those of the training, and so is going
on after a kill. The optimizer is Adam with a learning rate that falls to zero.
"""

import dataclasses
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import keras
import tensorflow as tf

import custom_ops
from components.parallel.ordinary import ordinary_layers
from components.quantizer.qat.rebuild import Rounding, bake, calibrate, fold, rebuild
from components.quantizer.representative import representative
from components.quantizer.settings import QatSettings
from components.trainer import ops
from components.trainer.not_finite import NotFiniteError
from components.trainer.precision import outputs_in_float32
from components.trainer.settings import TrainerSettings
from components.trainer.strategy import make_strategy
from components.trainer.train import train
from components.trainer.training import Training
from components.trainer.warm_start import read_weights
from components.trainer.weights_file import BEST
from lineage.outcome import InputError

log = logging.getLogger("slipway.quantizer")

_START = "start.weights.h5"
_KEPT = ("loss", "metrics", "augment")  # of the user's functions; callbacks and optimizer are those of the training


@dataclasses.dataclass(frozen=True)
class Calibration:
    """From how many examples the ranges of the activations begin, drawn with a seed."""

    examples: int
    seed: int


class FineTuning:
    """Fine-tunes one model.

    Args:
      training: What trained it, in this process.
      weights: Its SavedModel.
      settings: How long, and how fast.
      calibration: Where the ranges of the activations begin.
      folder: Checkpoints, and the weights of what is done; the next process goes on from them.
    """

    def __init__(
        self, *, training: Training, weights: Path, settings: QatSettings, calibration: Calibration, folder: Path
    ):
        self._trained_by, self._weights, self._settings = training, weights, settings
        self._calibration, self._folder = calibration, folder

    def model(self, bits: int, *, aware: bool) -> keras.Model:
        """What is to be converted: kernels rounded to so many bits after the fine-tuning and, where `aware`, in it.

        Then activations were rounded too, and the ranges for them are in the model.

        Raises:
          InputError: the model has a layer that cannot be rounded, or the fine-tuning broke down.
        """
        training = self._training(Rounding(bits if aware else None, activations=aware))
        name = f"int{bits}_qat" if aware else "control"
        if not self._is_done(name):
            log.info("%s: fine-tuning for %d epochs", name, self._settings.epochs)
            self._train(training, self._folder / name)
        with ordinary_layers(), custom_ops.composite():
            trained = training.build("float32").model
            trained.set_weights(read_weights(self._folder / name / BEST, trained))
            plain = self._training(Rounding(None, activations=aware)).build("float32").model
            bake(trained, bits, plain)
        return plain

    def _is_done(self, name: str) -> bool:
        """The Trainer removes its checkpoints when it has written the best weights."""
        return (self._folder / name / BEST).exists() and not self._checkpoints(self._folder / name).exists()

    def _checkpoints(self, folder: Path) -> Path:
        return folder / "checkpoints"

    def _train(self, training: Training, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with ordinary_layers(), custom_ops.composite():
            self._write_start(training, folder / _START)
        training = dataclasses.replace(training, warm_start=folder / _START)
        try:
            with ops.running(ops.chosen(training.settings.ops)):
                train(training, make_strategy(training.settings), self._checkpoints(folder), str(folder))
        except NotFiniteError as error:
            raise InputError(f"The fine-tuning broke down; lower quantizer.qat.learning_rate. {error}") from error

    def _write_start(self, training: Training, file: Path) -> None:
        """The weights of the trained model, folded, and ranges from representative examples."""
        original = self._trained_by.build("float32").model
        original.set_weights(read_weights(self._weights, original))
        rebuilt = training.build("float32").model
        fold(original, training.inputs, rebuilt)
        calibrate(rebuilt, representative(training.train, self._calibration.examples, self._calibration.seed))
        rebuilt.save_weights(str(file))

    def _training(self, rounding: Rounding) -> Training:
        before, settings = self._trained_by, _settings(self._trained_by.settings, self._settings)
        steps = settings.epochs * math.ceil(len(before.train) / settings.batch_size)
        module = _module(before.module, rounding, self._settings.learning_rate, steps)
        return dataclasses.replace(before, module=module, settings=settings)


def check(module: ModuleType, inputs: dict[str, tf.TensorSpec], hp: Mapping[str, Any]) -> None:
    """Raises InputError where the model that a user's module builds has a layer that cannot be rounded."""
    rebuild(module.build_model(inputs, dict(hp)), inputs, Rounding(None, activations=False))


def alone(trainer: TrainerSettings) -> TrainerSettings:
    """Those of a training in several processes for one, whose steps give the same weights."""
    several = trainer.strategy == "multi_worker"
    return trainer.model_copy(update={"strategy": "auto", "workers": None}) if several else trainer


def _settings(trainer: TrainerSettings, qat: QatSettings) -> TrainerSettings:
    """Those of the training but for what is of its length."""
    length = {"epochs": qat.epochs, "early_stopping": 0, "plateau": None, "profile": None, "warm_start": None}
    return trainer.model_copy(update=length)


def _module(user: ModuleType, rounding: Rounding, learning_rate: float, steps: int) -> ModuleType:
    """Stands in for the user's module: the same model, rounded."""

    def optimizer(hp: Mapping[str, Any]) -> keras.Optimizer:
        return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps))

    def build_model(inputs: dict[str, tf.TensorSpec], hp: Mapping[str, Any]) -> keras.Model:
        original = user.build_model(inputs, dict(hp))
        outputs_in_float32(original)
        rebuilt = rebuild(original, inputs, rounding)
        if original.compiled:
            rebuilt.compile(**{**original._compile_config.config, "optimizer": optimizer(hp)})
        return rebuilt

    kept = {name: getattr(user, name) for name in _KEPT if hasattr(user, name)}
    return cast(ModuleType, SimpleNamespace(build_model=build_model, optimizer=optimizer, **kept))
