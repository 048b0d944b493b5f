"""Claim: whatever a step is cut into, the weights after three epochs are those of one large batch on one device.

The reference is a plain GradientTape loop (see reference.py); of 701 rows the last step of an epoch is uneven.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

# max |difference| of a weight. In mixed precision the sums are rounded in another order at every step.
TOLERANCE = {"float32": 1e-6, "mixed_float16": 1e-3, "mixed_bfloat16": 3e-2}


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_step_equals_one_large_batch_on_one_device(replicas: int) -> None:
    command = [sys.executable, "-m", "tests.components.trainer.reference", str(replicas)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    differences = json.loads(done.stdout)
    assert len(differences) == 20
    for case, difference in differences.items():
        if case.startswith("NaN skipped"):
            assert difference == 0, f"{case}: not what it is without that step"
        else:
            [policy] = [policy for policy in TOLERANCE if policy in case]
            assert difference <= TOLERANCE[policy], case
