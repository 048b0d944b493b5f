"""What can happen to a process of a training, as the process that started it sees it."""

import traceback
from typing import Any


class WorkerError(Exception):
    """What was raised in a process of the training; `frames` are those of its traceback, outermost first."""

    def __init__(self, message: str, frames: traceback.StackSummary):
        super().__init__(message)
        self.frames = frames

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkerError, (str(self), self.frames)


class LostWorkerError(Exception):
    """A process died, or no longer answers; the training can go on from its last checkpoint."""
