"""Claim: a model with placed and sharded layers trains to the weights of the same model of plain layers on one device.

Each training is a process of its own, see training.py: three epochs, clipped, of AdamW with an average that overwrites
the weights. The largest difference of a weight was 2.4e-7.
"""

import signal
from pathlib import Path

import numpy as np
import pytest

from lineage.records import TrainingRecord
from tests.forked import Forked

TOLERANCE = 1e-6


def run(folder: Path, *arguments: str) -> int:
    folder.mkdir(exist_ok=True)
    return Forked("tests.components.parallel.training", str(folder), *arguments, output=folder / "output.txt").wait()


def weights(folder: Path, name: str = "weights") -> list[np.ndarray]:
    with np.load(folder / f"{name}.npz") as found:
        return [*found.values()]


def record(folder: Path) -> TrainingRecord:
    found = TrainingRecord.load(str(folder))
    assert found is not None
    return found


def trained(root: Path, *arguments: str) -> Path:
    assert run(root / "run", *arguments) == 0
    return root / "run"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("plain"), "--plain")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("sharded"))


def assert_equal_trainings(first: Path, second: Path) -> None:
    for one, other in zip(weights(first), weights(second), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)
    for name, curve in record(first).history.items():
        np.testing.assert_allclose(record(second).history[name], curve, rtol=1e-5, err_msg=name)
    assert record(first).history["loss"][-1] < 0.8 * record(first).history["loss"][0]  # it learns


def test_four_devices_equal_one(plain: Path, sharded: Path) -> None:
    assert_equal_trainings(plain, sharded)


def test_two_replicas_of_two_devices_equal_one_device(plain: Path, tmp_path: Path) -> None:
    hybrid = trained(tmp_path, "--workers", "2")
    assert_equal_trainings(plain, hybrid)
    for one, other in zip(weights(hybrid), weights(hybrid, "worker"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(record(hybrid).bytes_by_device) == {"CPU:0", "CPU:1"}


def test_killed_training_goes_on_to_the_same_bits(sharded: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "--die-in-write", "8") == -signal.SIGKILL
    assert list((tmp_path / "checkpoints").glob("step-*")), "there is something to resume"
    assert run(tmp_path) == 0
    for one, other in zip(weights(tmp_path), weights(sharded), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_and_slots_of_each_device_are_recorded(plain: Path, sharded: Path) -> None:
    # 30 embeddings of 6, a Dense of 29 x 11 and one of 7 x 3, cut in columns (np.array_split); the rest is placed.
    parts = {
        "CPU:0": 2 * 30 + 3 * (29 + 1) + 1 * (7 + 1),
        "CPU:1": 2 * 30 + 3 * (29 + 1) + 1 * (7 + 1),
        "CPU:2": 1 * 30 + 3 * (29 + 1) + 1 * (7 + 1),
        "CPU:3": 1 * 30 + 2 * (29 + 1),
    }
    parts["CPU:1"] += (8 * 12 + 12) + (12 * 5 + 5) + 2 * 8 + (11 * 7 + 7)  # two Dense, BatchNormalization, Dense
    expected = {device: 4 * 4 * trainable for device, trainable in parts.items()}  # float32, with three slots
    expected["CPU:1"] += 4 * 2 * 8  # moving mean and variance
    expected["CPU:0"] += 8 + 4  # iteration and learning rate
    assert record(sharded).bytes_by_device == expected
    assert record(plain).bytes_by_device == {"CPU:0": sum(expected.values())}
