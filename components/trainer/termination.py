"""SIGTERM and Ctrl-C as requests: the training writes its state at the next step and ends, to be continued later."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Termination:
    """While entered, the first SIGTERM or SIGINT sets `requested`; only the main thread can catch them.

    Example:
      with Termination() as termination:
          while not termination.requested: ...
          termination.end()
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._request) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def end(self) -> None:
        """Ends the process as the signal would have.

        Raises:
          KeyboardInterrupt: it was Ctrl-C.
          SystemExit: it was SIGTERM.
        """
        if self.requested is signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + signal.SIGTERM)

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = signal.Signals(number)
        self._restore()  # a second one does not wait

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
