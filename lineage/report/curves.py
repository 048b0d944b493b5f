"""Training curves as inline SVG: one small figure a metric, drawn in the page's own colours and font."""

import math

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lineage.records import TrainingRecord
from lineage.report.figure import MUTED, TEXT, TRAIN, VALIDATION, new, styled, svg
from lineage.report.metrics import lower_is_better, title


def curves(record: TrainingRecord) -> list[str]:
    """An SVG for the loss, then one for each other metric; a metric and its `val_` twin share one."""
    names = [name for name in record.history if not name.startswith("val_")]
    names.sort(key=lambda name: name != "loss")
    with styled():
        return [_figure(record, name) for name in names]


def _figure(record: TrainingRecord, name: str) -> str:
    figure, axes = new(title(name))
    _line(axes, record.history[name], "training", TRAIN)
    validation = record.history.get(f"val_{name}", [])
    _line(axes, validation, "validation", VALIDATION)
    _mark_best(axes, record.best_epoch, validation or record.history[name])
    if lower_is_better(name) and _spans_decades([*record.history[name], *validation]):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.6)
    axes.legend(frameon=False, labelcolor=TEXT, fontsize=9)
    return svg(figure)


def _line(axes: Axes, values: list[float], label: str, colour: str) -> None:
    if values:
        marker = "o" if len(values) < 3 else None
        axes.plot(range(1, len(values) + 1), values, color=colour, label=label, marker=marker, linewidth=1.8)


def _mark_best(axes: Axes, epoch: int, values: list[float]) -> None:
    axes.axvline(epoch, color=MUTED, linestyle=(0, (2, 3)), linewidth=1)
    if 1 <= epoch <= len(values) and math.isfinite(values[epoch - 1]):
        axes.plot([epoch], [values[epoch - 1]], "o", color=VALIDATION, markersize=6, label=f"best: epoch {epoch}")


def _spans_decades(values: list[float]) -> bool:
    """Whether a linear axis would flatten most of the curve; a logarithmic one needs values above zero."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > 30 * min(finite)
