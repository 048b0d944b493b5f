"""What a training says while it goes on: a line an epoch, and one a second between for who watches."""

import logging
import time

import numpy as np

from components.trainer.checkpoint import LoopState
from components.trainer.settings import TrainerSettings

log = logging.getLogger("slipway.trainer")


class Progress:
    """Logs `epoch 3/12 | step 40/55 | loss 0.12 ... | 5200 examples/s | <= 8 s left`."""

    def __init__(self, examples: int, steps_per_epoch: int, settings: TrainerSettings):
        self._examples = examples
        self._steps = steps_per_epoch
        self._settings = settings
        self._started = self._said = time.monotonic()
        self._first = 0

    def begin_epoch(self, first_step: int) -> None:
        """Starts the clock; an epoch that is continued begins in the middle."""
        self._first = first_step
        self._started = self._said = time.monotonic()

    def is_due(self) -> bool:
        """Whether a second has passed since the last line."""
        return time.monotonic() - self._said >= 1

    def say_step(self, epoch: int, step: int, logs: dict[str, float]) -> None:
        """Says how far the epoch is."""
        self._said = time.monotonic()
        rate = (step - self._first) * self._settings.batch_size / (self._said - self._started)
        left = (self._settings.epochs - epoch - step / self._steps) * self._examples / rate
        log.debug("%s", _line(epoch, self._settings.epochs, f"step {step}/{self._steps}", logs, rate, left))

    def end_epoch(self, state: LoopState) -> None:
        """Notes the time of the training steps; call it before the validation. A part of an epoch does not count."""
        if not self._first:
            state.epoch_seconds.append(time.monotonic() - self._started)

    def say_epoch(self, epoch: int, state: LoopState, logs: dict[str, float]) -> None:
        """Says the metrics of the epoch."""
        rate = examples_per_second(self._examples, state)
        left = (self._settings.epochs - epoch - 1) * self._examples / rate if rate else 0.0
        log.info("%s", _line(epoch, self._settings.epochs, "", logs, rate, left))


def examples_per_second(examples: int, state: LoopState) -> float:
    """Median over the whole epochs, without the first, in which the step is traced, where there are more."""
    seconds = state.epoch_seconds[1:] or state.epoch_seconds
    return examples / float(np.median(seconds)) if seconds else 0.0


def _line(epoch: int, epochs: int, step: str, logs: dict[str, float], rate: float, left: float) -> str:
    values = " ".join(f"{name} {value:.4g}" for name, value in logs.items())
    parts = [f"epoch {epoch + 1}/{epochs}", step, values, f"{rate:.0f} examples/s", f"<= {left:.0f} s left"]
    return " | ".join(part for part in parts if part)
