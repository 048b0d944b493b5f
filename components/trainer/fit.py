"""One training: Keras' `fit` with checkpoints, early stopping, TensorBoard and progress."""

import dataclasses
import logging
import time
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from components.dataset import Split, batches
from components.trainer.model import Built, as_input
from lineage.records import TrainingRecord

log = logging.getLogger("slipway.trainer")


@dataclasses.dataclass(frozen=True)
class Settings:
    """How long and in which portions to train; `early_stopping` is a number of epochs, 0 for never."""

    epochs: int
    batch_size: int
    early_stopping: int
    seed: int

    @classmethod
    def of(cls, exec_properties: dict[str, Any]) -> Self:
        """The settings among a component's execution properties."""
        return cls(**{field.name: exec_properties[field.name] for field in dataclasses.fields(cls)})


def fit(built: Built, train: Split, validation: Split, settings: Settings, folder: str) -> TrainingRecord:
    """Trains `built.model` in place and leaves it with the weights of its best epoch.

    Args:
      built: The compiled model and the user's callbacks.
      train: Trained on, in an order drawn from the seed each epoch.
      validation: Its loss decides which epoch is best.
      settings: Epochs, batch size, early stopping, seed.
      folder: Gets `tensorboard/`, `best.weights.h5` and `last.weights.h5`.

    Returns:
      The curves of the training.
    """
    best, last = Path(folder, "best.weights.h5"), Path(folder, "last.weights.h5")
    progress = Progress(len(train), settings)
    history = built.model.fit(
        _as_input(batches(train, settings.batch_size, shuffle_seed=settings.seed)),
        validation_data=_as_input(batches(validation, settings.batch_size)),
        epochs=settings.epochs,
        shuffle=False,  # the batches are shuffled already
        verbose=0,
        callbacks=[
            keras.callbacks.ModelCheckpoint(str(best), monitor="val_loss", save_best_only=True, save_weights_only=True),
            keras.callbacks.ModelCheckpoint(str(last), save_weights_only=True),
            *_early_stopping(settings),
            keras.callbacks.TensorBoard(str(Path(folder, "tensorboard")), histogram_freq=1, write_graph=False),
            progress,
            *built.callbacks,
        ],
    ).history
    built.model.load_weights(str(best))
    return TrainingRecord(
        epochs=len(history["loss"]),
        best_epoch=1 + _best(history["val_loss"]),
        parameters=built.model.count_params(),
        examples_per_second=progress.examples_per_second,
        history={name: [float(value) for value in values] for name, values in history.items()},
    )


def _best(losses: list[float]) -> int:
    """Index of the least loss by ModelCheckpoint's rule: the first of equals, and NaN is never less."""
    return min(range(len(losses)), key=losses.__getitem__)


def _as_input(data: tf.data.Dataset) -> tf.data.Dataset:
    return data.map(lambda features, labels: (as_input(features), labels))


def _early_stopping(settings: Settings) -> list[keras.callbacks.Callback]:
    if not settings.early_stopping:
        return []
    return [keras.callbacks.EarlyStopping(monitor="val_loss", patience=settings.early_stopping)]


class Progress(keras.callbacks.Callback):
    """Logs one line an epoch, `epoch 3/12 | loss 0.12 ... | 5200 examples/s | 8 s left`, and one a second between."""

    def __init__(self, examples: int, settings: Settings):
        super().__init__()
        self._examples = examples
        self._settings = settings
        self._steps = -(-examples // settings.batch_size)
        self._epoch = 0
        self._epoch_seconds: list[float] = []
        self._started = self._said = 0.0

    @property
    def examples_per_second(self) -> float:
        """Median over the epochs, without the first, which traces the step, where there are more."""
        seconds = self._epoch_seconds[1:] or self._epoch_seconds
        return self._examples / float(np.median(seconds)) if seconds else 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts the epoch's clock."""
        self._epoch = epoch
        self._started = self._said = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Says the step, at most once a second."""
        now = time.monotonic()
        if now - self._said >= 1:
            self._said = now
            rate = (batch + 1) * self._settings.batch_size / (now - self._started)
            self._say(f"step {batch + 1}/{self._steps}", logs, rate, logging.DEBUG)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Ends the training part of the epoch: validation does not count in examples/s."""
        self._epoch_seconds.append(time.monotonic() - self._started)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Says the epoch's metrics."""
        self._say("", logs, self._examples / self._epoch_seconds[-1], logging.INFO)

    def _say(self, step: str, logs: dict[str, float] | None, rate: float, level: int) -> None:
        left = (self._settings.epochs - self._epoch - (0 if step else 1)) * self._examples / rate
        values = " ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
        parts = [f"epoch {self._epoch + 1}/{self._settings.epochs}", step, values, f"{rate:.0f} examples/s"]
        log.log(level, " | ".join(part for part in [*parts, f"<= {left:.0f} s left"] if part))
