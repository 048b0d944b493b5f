"""Sentences and units of the report: the verdict, sizes, times."""

import datetime
from pathlib import Path

from lineage.outcome import State
from lineage.runs import Run
from lineage.summary import pushed_folder

_MINUTE, _HOUR = 60, 3600


def verdict(run: Run) -> str:
    """What became of the run, in a few words."""
    where = ", ".join(node.id for node in run.nodes if node.state is run.state)
    match run.state:
        case State.COMPLETE | State.CACHED:
            return _pushed(run)
        case State.REFUSED:
            return f"Refused by {where}" if where else "Refused by a gate"
        case State.FAILED if not where and run.reason == "interrupted":
            return "Interrupted, and given up"
        case State.FAILED:
            return f"Failed in {where}" if where else "Failed"
        case State.INTERRUPTED:
            return f"Interrupted in {where}" if where else "Interrupted"
        case _:
            return f"Running {where}" if where else "Running"


def _pushed(run: Run) -> str:
    folder = pushed_folder(run)
    if folder is None:
        return "Complete, nothing was pushed"
    unchanged = all(node.state is State.CACHED for node in run.nodes)
    return f"{'Unchanged: version' if unchanged else 'Pushed version'} {Path(folder).name}"


def size(count: int) -> str:
    """A number of bytes in decimal units."""
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them; a dash where they are not known."""
    if seconds is None:
        return "–"  # noqa: RUF001 - a dash is meant
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"
    return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE)} min"


def moment(time: datetime.datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{time:%d %B %Y, %H:%M} UTC".lstrip("0")
