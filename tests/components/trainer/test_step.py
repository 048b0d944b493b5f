"""Claim: whatever a step is cut into, the weights after three epochs are those of one large batch on one device.

The reference is a plain GradientTape loop (see reference.py); of 701 rows the last step of an epoch is uneven.
"""

import json
from pathlib import Path

import pytest

from tests.forked import Forked

# max |difference| of a weight. In mixed precision the sums are rounded in another order at every step.
TOLERANCE = {"float32": 1e-6, "mixed_float16": 1e-3, "mixed_bfloat16": 3e-2}


THREE = pytest.param(("replicas", 3), marks=pytest.mark.full)
DIVISIONS = [("replicas", 1), ("replicas", 2), THREE, ("workers", 2)]


def compare(folder: Path, division: tuple[str, int], cases: str) -> dict[str, float]:
    kind, count = division
    arguments, said = (f"--{kind}", str(count), "--cases", cases), folder / "differences.json"
    done = Forked("tests.components.trainer.reference", *arguments, output=said, errors=folder / "errors.txt")
    assert done.wait() == 0, (folder / "errors.txt").read_text()
    return json.loads(said.read_text())


def assert_equal(differences: dict[str, float]) -> None:
    for case, difference in differences.items():
        if case == "dropout in common":
            assert abs(difference - 0.5) < 0.025, "five standard deviations of 10,000 independent masks"
        elif case.startswith("NaN skipped"):
            assert difference == 0, f"{case}: not what it is without that step"
        else:
            [policy] = [policy for policy in TOLERANCE if policy in case]
            assert difference <= TOLERANCE[policy], case


@pytest.mark.parametrize("division", DIVISIONS, ids=str)
def test_step_equals_one_large_batch_on_one_device(tmp_path: Path, division: tuple[str, int]) -> None:
    differences = compare(tmp_path, division, "some")
    assert len(differences) >= 15
    assert_equal(differences)


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("division", DIVISIONS, ids=str)
def test_every_optimizer_clip_and_precision_equals_one_large_batch(tmp_path: Path, division: tuple[str, int]) -> None:
    differences = compare(tmp_path, division, "all")
    assert len(differences) >= (3 * 4 * 3 * 2 + 2) * 2 + 2
    assert_equal(differences)
