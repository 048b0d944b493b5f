"""Colours of states and formats of numbers, the same in every verb."""

import math

from lineage.outcome import State

STYLES = {
    State.PENDING: "dim",
    State.RUNNING: "cyan",
    State.COMPLETE: "green",
    State.CACHED: "blue",
    State.FAILED: "red",
    State.REFUSED: "yellow",
    State.INTERRUPTED: "magenta",
}


def duration(seconds: float | None) -> str:
    """Such as `0.4 s`, `35 s` or `2 min 05 s`; nothing for None."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def number(value: float) -> str:
    """Such as `0.9600` or `135,905`; `not defined` for NaN and infinity."""
    if not math.isfinite(value):
        return "not defined"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}"
