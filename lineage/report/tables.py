"""Rows of the report's tables, ready to print: slices with their intervals, the confusion matrix, seconds by node."""

import dataclasses
import math

from lineage.outcome import State
from lineage.records import ConfusionMatrix, EvaluationRecord, Slice
from lineage.report.metrics import has_interval, lower_is_better, primary, wilson
from lineage.runs import Node, Run

SHOWN_SLICES = 30
SHOWN_CLASSES = 30


@dataclasses.dataclass(frozen=True)
class SliceRow:
    """A slice; `low`, `value` and `high` are places on the common scale, in per cent of its width.

    `stands_out` says that the overall value lies outside the slice's interval.
    """

    part: Slice
    value: float | None
    low: float
    high: float
    stands_out: bool


@dataclasses.dataclass(frozen=True)
class SliceTable:
    """Slices, the worst first. `scale` is the range of the metric that the plots span; `overall` a place on it.

    `intervals` says whether the rows have any, or only values.
    """

    metric: str
    intervals: bool
    others: list[str]
    rows: list[SliceRow]
    left_out: int
    scale: tuple[float, float]
    overall: float | None


@dataclasses.dataclass(frozen=True)
class NodeRow:
    """A node, and its share of the seconds of the slowest, in per cent."""

    node: Node
    width: float


def slice_table(record: EvaluationRecord) -> SliceTable | None:
    """The table of the slices; None where only the whole split was evaluated."""
    parts = [part for part in record.slices if part.name]
    metric = primary(record.overall)
    if not parts or metric is None:
        return None
    sign = -1 if lower_is_better(metric) else 1
    parts.sort(key=lambda part: sign * _finite(part.metrics.get(metric), math.inf * sign))
    shown = parts[:SHOWN_SLICES]
    intervals = has_interval(metric, record)
    bounds = [_interval(part, metric, intervals) for part in shown]
    whole = _finite(record.overall[metric], math.nan)
    scale = _scale([edge for bound in bounds if bound for edge in bound] + [whole])
    return SliceTable(
        metric=metric,
        intervals=intervals,
        others=[name for name in record.overall if name != metric],
        rows=[
            _row(part, metric, bound, scale, whole if intervals else math.nan)
            for part, bound in zip(shown, bounds, strict=True)
        ],
        left_out=len(parts) - len(shown),
        scale=scale,
        overall=_place(whole, scale) if math.isfinite(whole) else None,
    )


def confusion(matrix: ConfusionMatrix) -> list[tuple[str, int, list[tuple[int, float]]]] | None:
    """Label, examples and (count, share of the row) of each true class; None where the matrix is too large to read."""
    if len(matrix.labels) > SHOWN_CLASSES:
        return None
    rows = []
    for label, counts in zip(matrix.labels, matrix.counts, strict=True):
        total = sum(counts)
        rows.append((label, total, [(count, count / total if total else 0.0) for count in counts]))
    return rows


def confused(matrix: ConfusionMatrix, most: int = 5) -> list[tuple[str, str, int]]:
    """The pairs (true class, predicted class, examples) that are mistaken most often."""
    pairs = [
        (matrix.labels[i], matrix.labels[j], count)
        for i, counts in enumerate(matrix.counts)
        for j, count in enumerate(counts)
        if i != j and count
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:most]


def node_rows(run: Run) -> list[NodeRow]:
    """Every node of the run; nodes that did no work have no bar."""
    seconds = [0.0 if node.state is State.CACHED else node.seconds or 0.0 for node in run.nodes]
    longest = max(seconds, default=0.0) or 1.0
    return [NodeRow(node, 100 * spent / longest) for node, spent in zip(run.nodes, seconds, strict=True)]


def _interval(part: Slice, metric: str, has_width: bool) -> tuple[float, float] | None:
    value = part.metrics.get(metric, math.nan)
    if not math.isfinite(value):
        return None
    return wilson(value, part.examples) if has_width else (value, value)


def _row(
    part: Slice, metric: str, bound: tuple[float, float] | None, scale: tuple[float, float], expected: float
) -> SliceRow:
    """`expected` stands out of the interval or not; NaN where there are no intervals."""
    if bound is None:
        return SliceRow(part, None, 0.0, 0.0, stands_out=False)
    low, high = bound
    stands_out = not (math.isnan(expected) or low <= expected <= high)
    return SliceRow(part, _place(part.metrics[metric], scale), _place(low, scale), _place(high, scale), stands_out)


def _scale(values: list[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _place(value: float, scale: tuple[float, float]) -> float:
    low, high = scale
    return 100 * (value - low) / (high - low)


def _finite(value: float | None, otherwise: float) -> float:
    return value if value is not None and math.isfinite(value) else otherwise
