"""What the Quantizer tried, as a picture: the size of each file against how good it is, with the float model."""

from matplotlib.axes import Axes

from lineage.records import QuantizationRecord
from lineage.report.figure import MUTED, TEXT, TRAIN, VALIDATION, new, styled, svg
from lineage.report.metrics import title

_KB = 1000


def size_against_metric(record: QuantizationRecord) -> str:
    """An SVG with a dot for each file; empty where only one was made."""
    made = [(one.mode, one.bytes, one.value) for one in record.candidates if one.bytes and one.value is not None]
    if len(made) < 2:
        return ""
    with styled():
        figure, axes = new(f"size and {title(record.metric)}")
        _dot(axes, "float", record.float_bytes, record.float_value, MUTED)
        for mode, size, value in made:
            _dot(axes, mode, size, value, VALIDATION if mode == record.mode and record.blessed else TRAIN)
        axes.set_xlabel("kB")
        axes.margins(x=0.2, y=0.2)
        axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.6)
        return svg(figure)


def _dot(axes: Axes, name: str, size: int, value: float, colour: str) -> None:
    axes.plot([size / _KB], [value], "o", color=colour, markersize=6)
    axes.annotate(name, (size / _KB, value), xytext=(5, 4), textcoords="offset points", color=TEXT, fontsize=9)
