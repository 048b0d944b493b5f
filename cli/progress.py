"""How a run looks while it goes on: a table that fills in on a terminal, plain lines in a log."""

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.style import STYLES, duration
from lineage.outcome import State
from lineage.runs import Node


@contextlib.contextmanager
def watch(console: Console) -> Iterator["TableObserver | LineObserver"]:
    """An observer for the runner, which also shows what the `slipway` loggers say meanwhile."""
    observer = TableObserver(console) if console.is_terminal else LineObserver(console)
    with _shown_by(observer, logging.DEBUG if console.is_terminal else logging.INFO):
        yield observer


@contextlib.contextmanager
def lines(console: Console) -> Iterator[None]:
    """Shows what the `slipway` loggers say, a line each."""
    with _shown_by(LineObserver(console), logging.INFO):
        yield


@contextlib.contextmanager
def _shown_by(observer: "TableObserver | LineObserver", level: int) -> Iterator[None]:
    logger = logging.getLogger("slipway")
    handler = _Detail(observer)
    logger.setLevel(level)
    logger.addHandler(handler)
    try:
        with observer:
            yield
    finally:
        logger.removeHandler(handler)


class LineObserver(contextlib.AbstractContextManager["LineObserver"]):
    """One line for each thing that happens."""

    def __init__(self, console: Console):
        self._console = console

    def __exit__(self, *error: object) -> None:
        """Nothing is left open."""

    def began(self, node_ids: list[str]) -> None:
        """Says which nodes there are."""
        self._print(f"{len(node_ids)} node{'s' * (len(node_ids) != 1)}: {', '.join(node_ids)}")

    def node_started(self, node_id: str) -> None:
        """Says which node runs."""
        self._print(f"{node_id} | {State.RUNNING}")

    def node_finished(self, node: Node) -> None:
        """Says how it ended."""
        self._print(f"{node.id} | {node.state} | {duration(node.seconds)}")

    def node_kept(self, node: Node) -> None:
        """Says that it is not run again."""
        self._print(f"{node.id} | {node.state} already")

    def detail(self, message: str, node_id: str) -> None:
        """A line that a running node logs, or, with no node id, somebody else."""
        self._print(f"{node_id} | {message}" if node_id else message)

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, markup=False)
        self._console.file.flush()


@dataclasses.dataclass
class _Row:
    state: State = State.PENDING
    started: float = 0.0
    seconds: float | None = None
    detail: str = ""


class TableObserver(contextlib.AbstractContextManager["TableObserver"]):
    """A table with a row a node: state, time, and the last thing it said."""

    def __init__(self, console: Console):
        self._rows: dict[str, _Row] = {}
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=4)

    def __enter__(self) -> "TableObserver":
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def began(self, node_ids: list[str]) -> None:
        """Makes the rows."""
        self._rows = {node_id: _Row() for node_id in node_ids}

    def node_started(self, node_id: str) -> None:
        """Starts the row's clock."""
        self._rows[node_id] = _Row(State.RUNNING, started=time.monotonic())

    def node_finished(self, node: Node) -> None:
        """Fills in the row."""
        row = self._rows[node.id]
        row.state, row.seconds = node.state, node.seconds

    def node_kept(self, node: Node) -> None:
        """Fills in the row of a node that is not run again."""
        self._rows[node.id] = _Row(node.state, seconds=node.seconds, detail="already")

    def detail(self, message: str, node_id: str) -> None:
        """Shows the message beside the node, or above the table where it is of none."""
        if node_id:
            self._rows[node_id].detail = message.splitlines()[0]
        else:
            self._live.console.print(message, markup=False, highlight=False)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for column in ("node", "state", "time", ""):
            table.add_column(column, justify="right" if column == "time" else "left", no_wrap=True)
        if not self._rows:
            table.add_row("loading TensorFlow and TFX ...", "", "", "", style="dim")
        for node_id, row in self._rows.items():
            seconds = time.monotonic() - row.started if row.state is State.RUNNING else row.seconds
            table.add_row(node_id, f"[{STYLES[row.state]}]{row.state}[/]", duration(seconds), row.detail)
        return table


class _Detail(logging.Handler):
    """Passes what the components log for the user on to the observer."""

    def __init__(self, observer: TableObserver | LineObserver):
        super().__init__()
        self._observer = observer

    def emit(self, record: logging.LogRecord) -> None:
        self._observer.detail(record.getMessage(), getattr(record, "node", ""))
