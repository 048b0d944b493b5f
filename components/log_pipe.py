"""Log lines of a child process on their way to its parent, which shows them as its own."""

import logging
import logging.handlers
from multiprocessing.connection import Connection
from typing import Any


def send_logs_to(connection: Connection, level: int) -> None:
    """From now on Slipway's own log lines of this process, from that level on, go to whoever reads the connection."""
    logger = logging.getLogger("slipway")
    logger.setLevel(level)
    logger.propagate = False
    logger.handlers = [_Sender(connection)]  # type: ignore[arg-type]


def show(record: logging.LogRecord) -> None:
    """Logs a line that a child process has sent."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


class _Sender(logging.handlers.QueueHandler):
    """Sends records by a pipe of this process's own: killed in the middle, it blocks no other's."""

    queue: Any

    def enqueue(self, record: logging.LogRecord) -> None:
        self.queue.send(record)
