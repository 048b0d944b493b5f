"""The report says in words which of the two models is smaller and which is better."""

import pytest

from lineage.report.quantized import drop_against_float, size_against_float, used_of_allowed
from tests.lineage.recorded import QUANTIZATION


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"bytes": 300, "float_bytes": 210}, "1.4 times larger than float"),
        ({"bytes": 100, "float_bytes": 380}, "3.8 times smaller than float"),
        ({"bytes": 1000, "float_bytes": 1001}, "as large as float"),
        ({"bytes": 0, "float_bytes": 1001}, ""),
    ],
)
def test_the_larger_model_is_called_larger(sizes: dict[str, int], expected: str) -> None:
    assert size_against_float(QUANTIZATION.model_copy(update=sizes)) == expected


@pytest.mark.parametrize(
    ("drop", "expected", "used"),
    [
        (-0.004, "0.4 points better than float", 0),
        (0.0, "as good as float", 0),
        (0.01, "1 point worse than float", 100),
        (float("nan"), "not comparable with float", 100),
    ],
)
def test_a_drop_says_which_model_is_better(drop: float, expected: str, used: float) -> None:
    record = QUANTIZATION.model_copy(update={"drop": drop})
    assert (drop_against_float(record), used_of_allowed(record)) == (expected, used)


@pytest.mark.parametrize(("drop", "used"), [(0.0, 0), (0.01, 100)])
def test_nothing_is_allowed_where_the_allowed_drop_is_zero(drop: float, used: float) -> None:
    assert used_of_allowed(QUANTIZATION.model_copy(update={"drop": drop, "max_drop": 0.0})) == used
