"""How a quantized model stands beside the float model, in words: which is smaller, which is better and by how much."""

import collections
import math

from lineage.records import Control, Measurement, QuantizationRecord
from lineage.report.metrics import is_share, number

_FLOAT = "float"


def size_against_float(record: QuantizationRecord) -> str:
    """Such as `3.8 times smaller than float`; empty where a size is not known."""
    if not record.bytes or not record.float_bytes:
        return ""
    ratio = record.float_bytes / record.bytes
    word, factor = ("smaller", ratio) if ratio >= 1 else ("larger", 1 / ratio)
    shown = f"{factor:.1f}"
    return f"as large as {_FLOAT}" if shown == "1.0" else f"{shown} times {word} than {_FLOAT}"


def drop_against_float(record: QuantizationRecord) -> str:
    """Such as `0.2 points worse than float`; for a regression `0.9 % of the median's error worse than float`."""
    if not math.isfinite(record.drop):
        return f"not comparable with {_FLOAT}"
    if record.drop == 0:
        return f"as good as {_FLOAT}"
    return f"{_amount(record.drop, record)} {'worse' if record.drop > 0 else 'better'} than {_FLOAT}"


def allowed_drop(record: QuantizationRecord) -> str:
    """Such as `0.5 points worse is allowed`."""
    return f"{_amount(record.max_drop, record)} worse is allowed"


def gain_over(control: Control, record: QuantizationRecord) -> str:
    """Such as `1.2 points better than`, of a file that was fine-tuned for and its control."""
    if not math.isfinite(control.gain):
        return "not comparable with"
    if control.gain == 0:
        return "as good as"
    return f"{_amount(control.gain, record)} {'better' if control.gain > 0 else 'worse'} than"


def used_of_allowed(record: QuantizationRecord) -> float:
    """How much of the allowed drop is used up, in per cent, from 0 to 100; a drop that is no number uses all of it."""
    if not math.isfinite(record.drop) or not record.max_drop:
        return 0.0 if record.drop <= 0 else 100.0
    return min(max(100 * record.drop / record.max_drop, 0.0), 100.0)


def taken_by_xnnpack(measured: Measurement) -> str:
    """Such as `10 of 12, not SOFTMAX, 2 QUANTIZE`; empty where the model is no TFLite file."""
    if measured.operations is None:
        return ""
    taken = measured.operations - len(measured.left_by_xnnpack)
    counts = collections.Counter(measured.left_by_xnnpack)
    left = ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())
    return f"{taken} of {measured.operations}{', not ' if left else ''}{left}"


def _amount(drop: float, record: QuantizationRecord) -> str:
    rounded = float(f"{100 * abs(drop):.3g}")
    points = "point" if rounded == 1 else "points"
    return f"{number(rounded)} {points}" if is_share(record.metric) else f"{number(rounded)} % of the median's error"
