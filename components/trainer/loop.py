"""The loop around the train step: epochs, validation, early stopping, checkpoints, callbacks, progress."""

import dataclasses
import logging
import time
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from components.dataset import AnySplit
from components.trainer.callbacks import Logs
from components.trainer.checkpoint import Checkpoints, LoopState, values_of
from components.trainer.model import Built
from components.trainer.not_finite import NotFiniteError, diagnose
from components.trainer.order import Order, batches
from components.trainer.profile import StepProfile
from components.trainer.progress import Progress, examples_per_second
from components.trainer.settings import TrainerSettings
from components.trainer.step import TrainStep
from components.trainer.termination import Termination
from components.trainer.workers import Workers
from lineage.records import TrainingRecord

log = logging.getLogger("slipway.trainer")

_SECONDS_PER_CALL = 0.25  # steps run inside TensorFlow for about this long between two looks at clock and signals
_SKIPS = 20  # steps in a row without a finite gradient after which `on_nan: skip` gives up


@dataclasses.dataclass(frozen=True)
class Job:
    """A model and what it is trained on; `strategy` is the one under whose scope `built` was made."""

    built: Built
    train: AnySplit
    validation: AnySplit
    settings: TrainerSettings
    strategy: tf.distribute.Strategy


class Loop:
    """Trains `job.built.model` in place, continuing from the newest checkpoint where there is one.

    Args:
      job: What to train on what.
      checkpoints: Where the state is kept meanwhile.
      callbacks: Keras callbacks besides the user's.
      profile: Traces what it is to trace of the steps.
    """

    def __init__(
        self, job: Job, checkpoints: Checkpoints, callbacks: list[keras.callbacks.Callback], profile: StepProfile
    ):
        settings, self._model, self._strategy = job.settings, job.built.model, job.strategy
        self._settings = settings
        self._augment = job.built.augment
        self._replicas = job.strategy.num_replicas_in_sync
        self._workers = Workers(job.strategy)
        self._train = job.train
        self._validation = job.validation
        self._order = Order(len(job.train), settings.batch_size, self._replicas, settings.seed, job.train.blocks)
        self._step = TrainStep(
            self._model,
            job.strategy,
            accumulate=settings.micro_batches,
            jit=settings.jit is True,
            skip_nan=settings.on_nan == "skip",
            class_weight=settings.class_weight,
        )
        self._checkpoints = checkpoints
        self._profile = profile
        self._logs = Logs()
        self._callbacks = keras.callbacks.CallbackList(
            [*callbacks, *job.built.callbacks, self._logs],
            model=self._model,
            epochs=settings.epochs,
            steps=self._order.steps_per_epoch,
        )
        self._progress = Progress(len(job.train), self._order.steps_per_epoch, settings)
        self._count = self._next_count = 1
        self._skipped = 0
        self._saved = time.monotonic()

    def run(self) -> TrainingRecord:
        """Trains to the end and leaves the model with the weights of its last epoch.

        Returns:
          The curves. `checkpoints` then holds the weights of the best epoch.

        Raises:
          NotFiniteError: a gradient is not finite, and the settings do not skip it, or it happens again and again.
          SystemExit: SIGTERM came; the state is saved.
          KeyboardInterrupt: Ctrl-C; the state is saved.
        """
        state = self._checkpoints.restore(self._variables, self._workers.of_chief(self._checkpoints.newest()))
        if state.step:
            log.info("Continuing at step %d, epoch %d.", state.step, state.step // self._order.steps_per_epoch + 1)
        self._train_batches = batches(self._train, self._order, self._strategy, state.step, self._augment)
        in_order = Order(
            len(self._validation), self._settings.batch_size, self._replicas, None, self._validation.blocks
        )
        self._validation_batches = batches(self._validation, in_order, self._strategy)
        self._model.stop_training = False
        self._callbacks.on_train_begin()
        with Termination() as termination, self._profile:
            while not self._is_over(state):
                self._epoch(state, termination)
                self._validate(state, in_order.steps_per_epoch)
        self._callbacks.on_train_end()
        if state.best_epoch < 0:
            raise NotFiniteError("val_loss was not finite in any epoch. Lower the learning rate, or look at the data.")
        return self._record(state)

    @property
    def _variables(self) -> list[tf.Variable]:
        model, step = self._model, self._step
        keras_variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
        return [*keras_variables, step.step, step.skipped, step.skipped_in_a_row]

    def _is_over(self, state: LoopState) -> bool:
        epochs = len(state.history.get("loss", []))
        patience = self._settings.early_stopping
        stale = bool(patience) and epochs > 0 and state.epochs_since_best >= patience
        return epochs >= self._settings.epochs or stale or self._model.stop_training

    def _epoch(self, state: LoopState, termination: Termination) -> None:
        epoch, done = divmod(state.step, self._order.steps_per_epoch)
        if not done:
            self._model.reset_metrics()
        self._callbacks.on_epoch_begin(epoch)
        self._progress.begin_epoch(done)
        while done < self._order.steps_per_epoch:
            count = self._steps(state.step, self._order.steps_per_epoch - done)
            self._callbacks.on_train_batch_begin(done)
            with self._profile.around(state.step):
                self._call(count)
            state.step += count
            state.step_times = self._profile.times or state.step_times
            done += count
            self._callbacks.on_train_batch_end(done - 1, {})
            ask = self._ask(state, termination)
            if ask.progress:
                self._progress.say_step(epoch, done, self._metrics())
            if done < self._order.steps_per_epoch and (ask.end or ask.checkpoint):
                self._save(state)
                if ask.end:
                    log.warning("The training was asked to end; it is saved at step %d.", state.step)
                    termination.end()
        self._progress.end_epoch(state)

    def _ask(self, state: LoopState, termination: Termination) -> "_Ask":
        """What all processes do now: by the chief's clocks, and the end where any of them has been asked to."""
        chief = self._workers.is_chief
        mine = _Ask(
            self._next_count if chief else 0,
            int(chief and self._progress.is_due()),
            int(chief and self._is_checkpoint_due(state)),
            int(termination.requested is not None),
        )
        agreed = _Ask(*self._workers.total(mine))
        self._count = agreed.steps
        return agreed

    def _steps(self, step: int, left: int) -> int:
        every = self._settings.checkpoint.every_steps
        most = self._profile.most_steps(step)
        return min(self._count, left, most, every - step % every if every else left)

    def _call(self, count: int) -> None:
        started = time.monotonic()
        self._step.run(self._train_batches, tf.constant(count, tf.int64))
        self._check_finite()
        seconds = (time.monotonic() - started) / count
        self._next_count = int(np.clip(_SECONDS_PER_CALL / seconds, 1, 2 * count))

    def _check_finite(self) -> None:
        if int(self._step.skipped_in_a_row) >= _SKIPS:
            raise NotFiniteError(
                f"{_SKIPS} steps in a row had a gradient that is not finite, up to step {int(self._step.step)}. Lower "
                "the learning rate, clip the gradient (clip_norm), or look at the data."
            )
        broken = int(self._step.broken)
        if broken >= 0:
            rows = [
                self._order.rows(tf.constant(broken, tf.int64), tf.constant(r, tf.int64)) for r in range(self._replicas)
            ]
            batch = self._train.take(tf.concat([part[:count] for part, count in rows], axis=0))
            what = diagnose(self._model, batch)
            saved = self._checkpoints.save_batch(broken, batch) if self._workers.is_chief else "the chief's folder"
            raise NotFiniteError(
                f"Step {broken + 1}: not finite is {what}. Its batch is in {saved}. Lower the learning rate, clip the "
                "gradient (clip_norm), or leave such steps out (on_nan: skip)."
            )

    def _is_checkpoint_due(self, state: LoopState) -> bool:
        settings = self._settings.checkpoint
        by_step = settings.every_steps is not None and state.step % settings.every_steps == 0
        by_time = settings.every_minutes is not None and time.monotonic() - self._saved >= 60 * settings.every_minutes
        return by_step or by_time

    def _save(self, state: LoopState) -> None:
        values = values_of(self._variables)
        if self._workers.is_chief:
            self._checkpoints.save(values, state)
        self._saved = time.monotonic()

    def _validate(self, state: LoopState, steps: int) -> None:
        """Ends an epoch: metrics of both splits, best so far, callbacks, checkpoint."""
        epoch = state.step // self._order.steps_per_epoch - 1
        logs = self._metrics()
        self._say_skipped()
        self._model.reset_metrics()
        self._step.evaluate(self._validation_batches, tf.constant(steps, tf.int64))
        logs |= {f"val_{name}": value for name, value in self._metrics().items()}
        if logs["val_loss"] < state.best_loss:
            state.best_loss, state.best_epoch = logs["val_loss"], epoch
            if self._workers.is_chief:
                self._checkpoints.save_best(values_of(self._model.variables))
        self._lower_learning_rate(epoch - state.best_epoch)
        self._callbacks.on_epoch_end(epoch, logs)
        for name, value in self._logs.of_epoch.items():
            state.history.setdefault(name, []).append(value)
        self._model.stop_training = self._workers.total([int(self._model.stop_training)])[0] > 0
        self._progress.say_epoch(epoch, state, logs)
        self._save(state)

    def _say_skipped(self) -> None:
        skipped = int(self._step.skipped)
        if skipped > self._skipped:
            log.warning("%d steps so far were left out: their gradient was not finite.", skipped)
        self._skipped = skipped

    def _lower_learning_rate(self, epochs_since_best: int) -> None:
        plateau = self._settings.plateau
        if plateau and epochs_since_best > 0 and epochs_since_best % plateau.patience == 0:
            optimizer = self._model.optimizer
            optimizer.learning_rate = optimizer.learning_rate * plateau.factor

    def _metrics(self) -> dict[str, float]:
        return {name: float(value) for name, value in self._model.get_metrics_result().items()}

    def _record(self, state: LoopState) -> TrainingRecord:
        return TrainingRecord(
            epochs=len(state.history["loss"]),
            best_epoch=state.best_epoch + 1,
            parameters=self._model.count_params(),
            examples_per_second=examples_per_second(len(self._train), state),
            history=state.history,
            step_times=self._profile.times or state.step_times,
            skipped_steps=int(self._step.skipped),
        )


class _Ask(NamedTuple):
    """What is to be done between two calls: steps in the next one, and 0 or 1 for the rest."""

    steps: int
    progress: int
    checkpoint: int
    end: int
