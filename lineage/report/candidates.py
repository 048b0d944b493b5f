"""What the Quantizer tried, as a picture: size of each file, how good it is and how slow, with the float model."""

from lineage.records import FLOAT, QuantizationRecord
from lineage.report.figure import MUTED, TEXT, TRAIN, VALIDATION, new, styled, svg
from lineage.report.metrics import title
from lineage.units import latency

_KB = 1000
_AREA = 120  # of the slowest file's dot, in square points


def size_against_metric(record: QuantizationRecord) -> str:
    """An SVG with a dot for each file, its area the latency where that was measured; empty where only one was made."""
    made = [(one.mode, one.bytes, one.value) for one in record.candidates if one.bytes and one.value is not None]
    if len(made) < 2:
        return ""
    seconds = {one.model: one.latencies[0].median for one in record.measured}
    slowest = max((seconds[name] for name in (FLOAT, *(mode for mode, _, _ in made)) if name in seconds), default=1.0)
    with styled():
        figure, axes = new(f"size and {title(record.metric)}{', area: latency' if seconds else ''}")
        for name, size, value in [(FLOAT, record.float_bytes, record.float_value), *made]:
            colour = MUTED if name == FLOAT else TRAIN
            colour = VALIDATION if name == record.mode and record.blessed else colour
            label = f"{name}, {latency(seconds[name])}" if name in seconds else name
            area = _AREA * seconds.get(name, slowest) / slowest
            axes.scatter([size / _KB], [value], s=area, color=colour)
            axes.annotate(label, (size / _KB, value), xytext=(6, 5), textcoords="offset points", color=TEXT, fontsize=9)
        axes.set_xlabel("kB")
        axes.margins(x=0.3, y=0.3)
        axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.6)
        return svg(figure)
