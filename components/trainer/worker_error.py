"""What can happen to a process of a training, as the process that started it sees it."""

import traceback
from typing import Any, Self


class WorkerError(Exception):
    """What was raised in a process of the training; `frames` are those of its traceback, outermost first."""

    def __init__(self, message: str, frames: traceback.StackSummary):
        super().__init__(message)
        self.frames = frames

    @classmethod
    def of(cls, error: Exception) -> Self:
        """The same, to be sent to another process: its class is in the message."""
        message = f"{type(error).__name__}: {str(error).strip() or 'no message'}"
        return cls(message, traceback.extract_tb(error.__traceback__))

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkerError, (str(self), self.frames)


class LostWorkerError(Exception):
    """A process died, or no longer answers; the training can go on from its last checkpoint."""
