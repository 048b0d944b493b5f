"""What the settings become that are `auto`: by trying the model on the device at hand, once a training."""

import dataclasses
import gc
import logging
import time
from collections.abc import Callable, Sequence

import tensorflow as tf

from components.trainer import precision
from components.trainer.checkpoint import Checkpoints
from components.trainer.order import Order, batches
from components.trainer.settings import TrainerSettings
from components.trainer.step import TrainStep
from components.trainer.training import Training
from components.trainer.workers import Workers

log = logging.getLogger("slipway.trainer")

_TIMED_STEPS = 10
_CLEARLY_FASTER = 0.95  # of the time of the first option, the plainest: less is noise


class Choices:
    """Replaces `auto` in the settings of a training; a resumed one gets what was chosen when it began."""

    def __init__(self, training: Training, strategy: tf.distribute.Strategy, checkpoints: Checkpoints):
        self._training = training
        self._strategy = strategy
        self._checkpoints = checkpoints
        self._workers = Workers(strategy)

    def resolve(self) -> TrainerSettings:
        """The settings, with a number of micro-batches, a precision, and whether the step is compiled by XLA."""
        if self._settings.accumulate == "auto":
            found = self._once("accumulate", self._divisors(), self._smallest_that_fits)
            self._set(accumulate=int(found))
        if self._settings.precision == "auto":
            names = self._seen_by_all(precision.candidates())
            self._set(precision=self._once("precision", names, lambda: self._fastest("precision", names)))
        elif self._settings.precision == "mixed_float16" and not _gpus():
            self._warn_of_float16()
        if self._settings.jit == "auto":
            jits = self._jits()
            self._set(jit=self._once("jit", jits, lambda: self._fastest("jit", jits)) == "True")
        return self._settings

    @property
    def _settings(self) -> TrainerSettings:
        return self._training.settings

    def _set(self, **settings: object) -> None:
        self._training = dataclasses.replace(self._training, settings=self._settings.model_copy(update=settings))

    def _once(self, name: str, options: Sequence[str], choose: Callable[[], int]) -> str:
        """The chief's choice, in every process; `choose` gives its place among the options."""
        noted = self._checkpoints.noted(name)
        chosen = self._workers.of_chief(options.index(noted) if noted else -1)
        if chosen < 0:
            chosen = self._workers.of_chief(choose())
            if self._workers.is_chief:
                self._checkpoints.note(name, options[chosen])
        return options[chosen]

    def _divisors(self) -> list[str]:
        """1, 2, 4, ... as far as they share the batch equally."""
        part = self._settings.batch_size // self._strategy.num_replicas_in_sync
        return [str(2**power) for power in range(part.bit_length()) if part % 2**power == 0]

    def _smallest_that_fits(self) -> int:
        options = self._divisors()
        for place, count in enumerate(options):
            self._set(accumulate=int(count))
            try:
                self._seconds_per_step(steps=1)
            except tf.errors.ResourceExhaustedError:
                log.info("accumulate: a step in %s parts does not fit in memory", count)
                gc.collect()
            else:
                log.info("accumulate: %s", count)
                return place
        raise MemoryError(f"Not even a step in {options[-1]} parts fits in memory. Lower trainer.batch_size.")

    def _seen_by_all(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Hosts that differ time nothing."""
        same = self._workers.total([len(names)])[0] == self._workers.count * len(names)
        return names if same else ("float32",)

    def _jits(self) -> tuple[str, ...]:
        """On a CPU XLA makes a step several times slower; over replicas of one process it cannot be used."""
        mirrored = isinstance(self._strategy, tf.distribute.MirroredStrategy)
        return ("False", "True") if _gpus() and not mirrored else ("False",)

    def _fastest(self, field: str, options: Sequence[str]) -> int:
        if len(options) == 1:
            return 0
        seconds = [self._timed_jit(option) if field == "jit" else self._timed(precision=option) for option in options]
        measured = ", ".join(
            f"{option} {1000 * value:.1f} ms a step" for option, value in zip(options, seconds, strict=True)
        )
        fastest = seconds.index(min(seconds)) if min(seconds) < _CLEARLY_FASTER * seconds[0] else 0
        log.info("%s: %s (%s)", field, options[fastest], measured)
        return fastest

    def _timed_jit(self, jit: str) -> float:
        """Endless for a model that XLA cannot compile."""
        try:
            return self._timed(jit=jit == "True")
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            if jit == "False":
                raise
            return float("inf")

    def _timed(self, **settings: object) -> float:
        before = self._training
        self._set(**settings)
        try:
            return self._seconds_per_step(_TIMED_STEPS)
        finally:
            self._training = before

    def _warn_of_float16(self) -> None:
        half, full = (1000 * self._timed(precision=name) for name in ("mixed_float16", "float32"))
        log.warning(
            "precision is mixed_float16, which is for GPUs: on this CPU a step takes %.1f ms, in float32 %.1f ms.",
            half,
            full,
        )

    def _seconds_per_step(self, steps: int) -> float:
        """Trains a model that is thrown away."""
        settings, train = self._settings, self._training.train
        name = "float32" if settings.precision == "auto" else settings.precision
        built = self._training.build(name, self._strategy)
        replicas = self._strategy.num_replicas_in_sync
        order = Order(len(train), settings.batch_size, replicas, settings.seed, train.blocks)
        data = batches(train, order, self._strategy)
        step = TrainStep(
            built.model, self._strategy, accumulate=settings.micro_batches, skip_nan=True, jit=settings.jit is True
        )
        step.run(data, tf.constant(2, tf.int64))  # the first traces
        started = time.monotonic()
        step.run(data, tf.constant(steps, tf.int64))
        return (time.monotonic() - started) / steps


def _gpus() -> list[object]:
    return tf.config.list_logical_devices("GPU")
