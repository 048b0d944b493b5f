"""Training curves as inline SVG: one small figure a metric, drawn in the page's own colours and font."""

import io
import math
import re

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lineage.records import TrainingRecord
from lineage.report.metrics import lower_is_better, title

# Stand-ins that the SVG is written with; each becomes a CSS variable, so that the page's dark colours apply.
_COLOURS = {"#010101": "var(--text)", "#020202": "var(--muted)", "#030303": "var(--train)", "#040404": "var(--good)"}
_TEXT, _MUTED, _TRAIN, _VALIDATION = _COLOURS
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.size": 9,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _MUTED,
    "axes.titlecolor": _TEXT,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def curves(record: TrainingRecord) -> list[str]:
    """An SVG for the loss, then one for each other metric; a metric and its `val_` twin share one."""
    names = [name for name in record.history if not name.startswith("val_")]
    names.sort(key=lambda name: name != "loss")
    with matplotlib.rc_context(_STYLE):
        return [_figure(record, name) for name in names]


def _figure(record: TrainingRecord, name: str) -> str:
    figure = Figure(figsize=(4.4, 2.7), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.subplots()
    axes.patch.set_alpha(0)
    axes.set_title(title(name), loc="left", fontsize=10, fontweight="bold")
    _line(axes, record.history[name], "training", _TRAIN)
    validation = record.history.get(f"val_{name}", [])
    _line(axes, validation, "validation", _VALIDATION)
    _mark_best(axes, record.best_epoch, validation or record.history[name])
    if lower_is_better(name) and _spans_decades([*record.history[name], *validation]):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=_MUTED, alpha=0.25, linewidth=0.6)
    axes.legend(frameon=False, labelcolor=_TEXT, fontsize=9)
    return _svg(figure)


def _line(axes: Axes, values: list[float], label: str, colour: str) -> None:
    if values:
        marker = "o" if len(values) < 3 else None
        axes.plot(range(1, len(values) + 1), values, color=colour, label=label, marker=marker, linewidth=1.8)


def _mark_best(axes: Axes, epoch: int, values: list[float]) -> None:
    axes.axvline(epoch, color=_MUTED, linestyle=(0, (2, 3)), linewidth=1)
    if 1 <= epoch <= len(values) and math.isfinite(values[epoch - 1]):
        axes.plot([epoch], [values[epoch - 1]], "o", color=_VALIDATION, markersize=6, label=f"best: epoch {epoch}")


def _spans_decades(values: list[float]) -> bool:
    """Whether a linear axis would flatten most of the curve; a logarithmic one needs values above zero."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > 30 * min(finite)


def _svg(figure: Figure) -> str:
    """The figure as an element for a page: no prolog, no metadata, no fixed size, no font of its own."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r'<svg width="[^"]*" height="[^"]*"', '<svg class="figure" role="img"', text, count=1)
    text = re.sub(r' id="(?!m|p)[a-zA-Z0-9_.]+"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", text)
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    return text
