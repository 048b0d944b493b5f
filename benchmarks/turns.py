"""Two trainings in one process that take turns, an epoch each, so that both meet the same noise of the machine."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras

Train = Callable[[keras.callbacks.Callback], Any]


class EpochSeconds(keras.callbacks.Callback):
    """Seconds of the training part of each epoch, up to its validation or its end; for `fit`."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._started = 0.0
        self._stopped = True

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._started, self._stopped = time.monotonic(), False

    def on_test_begin(self, logs: Any = None) -> None:
        """Stops it: the validation begins."""
        self._stop()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stops it, where there was no validation."""
        self._stop()

    def _stop(self) -> None:
        if not self._stopped:
            self.seconds.append(time.monotonic() - self._started)
            self._stopped = True


class Turn(EpochSeconds):
    """Hands over before each epoch but the first, in which the step is traced, and waits to be handed back to.

    Args:
      mine: Released when it is this training's turn.
      other: Released to hand over.
      over: Set once either training has ended; then nobody waits.
    """

    def __init__(self, mine: threading.Semaphore, other: threading.Semaphore, over: threading.Event):
        super().__init__()
        self._mine, self._other, self._over = mine, other, over

    def run(self, train: Train) -> None:
        """Trains with this callback, from the first turn on."""
        self._mine.acquire()
        try:
            train(self)
        finally:
            self._over.set()
            self._other.release()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Waits for its turn, then starts the clock."""
        if epoch and not self._over.is_set():
            self._other.release()
            self._mine.acquire()
        super().on_epoch_begin(epoch)


def take_turns(first: Train, second: Train) -> tuple[list[float], list[float]]:
    """Seconds of each epoch after the first of two trainings of equally many epochs; `first` runs in this thread."""
    one, two, over = threading.Semaphore(1), threading.Semaphore(0), threading.Event()
    turns = [Turn(one, two, over), Turn(two, one, over)]
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(turns[1].run, second)
        turns[0].run(first)
        future.result()
    return turns[0].seconds[1:], turns[1].seconds[1:]
