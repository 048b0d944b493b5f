"""SIGTERM as a request: the training writes its state at the next step and ends, to be continued later."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Termination:
    """While entered, SIGTERM sets `requested` instead of ending the process; only the main thread can catch it.

    Example:
      with Termination() as termination:
          while not termination.requested: ...
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGTERM, self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)  # type: ignore[arg-type]

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
