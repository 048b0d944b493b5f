"""Claim: a training that is killed, at any moment and as often as you like, ends with the weights and the curves of one
that was left alone, bit for bit (CPU).
"""

import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.forked import Forked


def start(folder: Path, *arguments: str) -> Forked:
    folder.mkdir(exist_ok=True)
    output, errors = folder / "output.txt", folder / "errors.txt"
    return Forked("tests.components.trainer.resumable", str(folder), *arguments, output=output, errors=errors)


def finish(folder: Path) -> dict[str, np.ndarray]:
    assert start(folder).wait() == 0
    with np.load(folder / "weights.npz") as found:
        return {name: found[name] for name in found}


def assert_identical(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("undisturbed")
    weights = finish(folder)
    assert not (folder / "checkpoints").exists()  # nothing stale is left to be resumed
    return weights


@pytest.mark.parametrize("most", [4, pytest.param(20, marks=[pytest.mark.full, pytest.mark.timeout(1800)])])
def test_killed_at_random_moments(tmp_path: Path, undisturbed: dict[str, np.ndarray], most: int) -> None:
    moments = random.Random(most)
    kills = 0
    while kills < most and not (tmp_path / "weights.npz").exists():
        process = start(tmp_path)
        next(process.lines())  # the training begins
        time.sleep(moments.uniform(0.1, 12 / most))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert kills
    assert_identical(finish(tmp_path), undisturbed)


def test_killed_inside_the_writes_of_checkpoints(tmp_path: Path, undisturbed: dict[str, np.ndarray]) -> None:
    for write in ("4", "1", "8"):
        assert start(tmp_path, "--die-in-write", write).wait() == -signal.SIGKILL
    assert list((tmp_path / "checkpoints").glob("step-*")), "there is something to resume"
    assert_identical(finish(tmp_path), undisturbed)


def test_sigterm_saves_at_once_and_ends_the_process(tmp_path: Path, undisturbed: dict[str, np.ndarray]) -> None:
    process = start(tmp_path)
    checkpoints = tmp_path / "checkpoints"
    while not list(checkpoints.glob("step-*")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert_identical(finish(tmp_path), undisturbed)


def test_training_from_disk_that_is_killed_goes_on_with_the_examples_there(tmp_path: Path) -> None:
    left_alone, killed = tmp_path / "left alone", tmp_path / "killed"
    assert start(left_alone, "--disk").wait() == 0
    assert start(killed, "--disk", "--die-in-write", "20").wait() == -signal.SIGKILL
    assert (killed / "checkpoints" / "examples" / "train").exists()
    assert start(killed, "--disk").wait() == 0
    first, second = (dict(np.load(folder / "weights.npz")) for folder in (left_alone, killed))
    assert_identical(first, second)
    assert not (killed / "checkpoints").exists()


def test_two_replicas_train_and_resume_to_the_same_weights(tmp_path: Path) -> None:
    folders = left_alone, killed = tmp_path / "left alone", tmp_path / "killed"
    assert start(left_alone, "--replicas", "2").wait() == 0
    assert start(killed, "--replicas", "2", "--die-in-write", "5").wait() == -signal.SIGKILL
    assert start(killed, "--replicas", "2").wait() == 0
    first, second = (dict(np.load(folder / "weights.npz")) for folder in folders)
    assert first["val_loss"].min() < 0.9 * first["val_loss"][0]  # it learns
    # What a metric has summed so far is stored as one number for all replicas, so that its last bit may differ.
    np.testing.assert_allclose(first.pop("loss"), second.pop("loss"), rtol=1e-6)
    assert_identical(first, second)
