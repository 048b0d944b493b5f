"""The trace of some steps of a training, for TensorBoard, and where their time goes, for the report."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import tensorflow as tf

from components.trainer.step_times import STEP, STEP_NUMBER, step_times
from lineage.records import StepTimes

log = logging.getLogger("slipway.trainer")


class StepProfile:
    """Traces the steps from `first` to `last`, which are run one by one, so that each of them is seen.

    To be entered for the training: what is traced when it ends early is kept, but for that of a training that fails.

    Args:
      steps: `first` and `last`, counted from 1; None traces nothing.
      folder: Where TensorBoard looks; None in the processes of a training that take the steps but do not trace them.

    Attributes:
      times: What was found, once the trace has ended.
    """

    def __init__(self, steps: tuple[int, int] | None, folder: Path | None):
        self._first, self._last = steps or (0, 0)
        self._folder = folder
        self._is_on = False
        self.times: StepTimes | None = None

    def most_steps(self, done: int) -> int:
        """How many steps may be run in one call, where `done` of the training are done."""
        if done >= self._last:
            return sys.maxsize
        return max(1, self._first - 1 - done)

    @contextlib.contextmanager
    def around(self, done: int) -> Iterator[None]:
        """Around the call that runs the steps after the first `done`."""
        number = done + 1
        if self._folder is None or not self._first <= number <= self._last:
            yield
            return
        if not self._is_on:
            tf.profiler.experimental.start(str(self._folder))
            self._is_on = True
        with tf.profiler.experimental.Trace(STEP, **{STEP_NUMBER: number, "_r": 1}):
            yield
        if number == self._last:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._is_on and error is None:
            self._end()
        elif self._is_on:
            tf.profiler.experimental.stop(save=False)

    def _end(self) -> None:
        self._is_on = False
        tf.profiler.experimental.stop()
        assert self._folder is not None
        newest = max(self._folder.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
        self.times = found = step_times(newest)
        parts = ", ".join(f"{name} {1000 * seconds:.2g}" for name, seconds in found.parts.items())
        steps = f"steps {found.first_step} to {found.last_step}"
        log.info("%s: %.2g ms a step, of which %s", steps, 1000 * found.step, parts)
