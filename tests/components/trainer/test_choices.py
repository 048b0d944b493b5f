"""Claims about what `auto` becomes, tried on the device at hand."""

import logging
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest

from components.trainer.settings import TrainerSettings
from tests.components.trainer.small_training import CLASSES, KEYS, X, train, write

SOFTMAX = """
def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4], name="x"), layers.Dense(3, activation="softmax")])
"""


def test_a_batch_that_does_not_fit_in_memory_is_cut_until_it_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.components.trainer.out_of_memory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    parts = int(done.stdout)
    # 64 rows of 8 MiB are half a GiB a tensor, of which the pass holds several, where there is 1 GiB.
    assert 2 <= parts <= 64 and 64 % parts == 0
    assert (tmp_path / "accumulate").read_text() == str(parts), "a resumed training does not try again"


def test_a_batch_that_fits_is_not_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "slipway.trainer")
    data = write(tmp_path, CLASSES, X, KEYS)
    train(tmp_path / "fits", data, SOFTMAX, task="multiclass", accumulate="auto", epochs=1)
    assert "accumulate: 1" in caplog.messages


def test_float16_on_a_cpu_is_done_with_a_warning_that_has_the_cost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = write(tmp_path, CLASSES, X, KEYS)
    trained = train(tmp_path / "half", data, SOFTMAX, task="multiclass", precision="mixed_float16", epochs=1)
    assert trained.record.epochs == 1
    [warning] = [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and record.name == "slipway.trainer"
    ]
    assert "which is for GPUs: on this CPU a step takes" in warning


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"strategy": "multi_worker", "workers": 2, "accumulate": "auto"},
            "accumulate auto with the strategy multi_worker",
        ),
        ({"strategy": "mirrored", "jit": True}, "jit with the strategy mirrored"),
        ({"workers": 2}, "workers with the strategy auto, expected multi_worker"),
        ({"strategy": "multi_worker", "workers": 3}, "the nearest that can: 126 or 129"),
        ({"accumulate": 3}, "the nearest that can: 126 or 129"),
        ({"precision": "float64"}, "'float32', 'mixed_bfloat16', 'mixed_float16' or 'auto'"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        TrainerSettings(**settings)
    assert message in str(caught.value)
