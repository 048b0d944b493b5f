"""Claims about trainings in several processes: whichever of them dies or hangs, and however they are asked to end, the
weights at the end are those of a training that was left alone, bit for bit (CPU).
"""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from components.trainer.worker_error import WorkerError
from tests.components.trainer.small_training import CLASSES, KEYS, X, train, write
from tests.components.trainer.test_resume import assert_identical, start
from tests.forked import Forked

TWO = ("--workers", "2")


def finish(process: Forked, folder: Path) -> dict[str, np.ndarray]:
    assert process.wait(timeout=240) == 0
    with np.load(folder / "weights.npz") as found:
        return {name: found[name] for name in found}


def wait_for_checkpoint(process: Forked, folder: Path, after: int = 0) -> None:
    def newest() -> int:
        steps = [int(path.name[5:]) for path in folder.glob("checkpoints/step-*") if path.suffix != ".partial"]
        return max(steps, default=0)

    while newest() <= after:
        assert process.poll() is None
        time.sleep(0.02)


def send(folder: Path, worker: int, number: signal.Signals) -> None:
    os.kill(int((folder / f"worker-{worker}.pid").read_text()), number)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return finish(start(folder, *TWO), folder)


def test_workers_and_the_chief_killed_one_after_another(tmp_path: Path, undisturbed: dict[str, np.ndarray]) -> None:
    process = start(tmp_path, *TWO)
    for worker, after in ((1, 0), (0, 20)):
        wait_for_checkpoint(process, tmp_path, after)
        send(tmp_path, worker, signal.SIGKILL)
    assert_identical(finish(process, tmp_path), undisturbed)


@pytest.mark.full
def test_killed_once_more_than_it_may_start_again_it_fails_and_can_be_continued(
    tmp_path: Path, undisturbed: dict[str, np.ndarray]
) -> None:
    process = start(tmp_path, *TWO, "--restarts", "0")
    wait_for_checkpoint(process, tmp_path)
    send(tmp_path, 1, signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    assert_identical(finish(start(tmp_path, *TWO), tmp_path), undisturbed)


def test_sigterm_saves_in_all_processes_and_ends_them(tmp_path: Path, undisturbed: dict[str, np.ndarray]) -> None:
    process = start(tmp_path, *TWO)
    wait_for_checkpoint(process, tmp_path)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    for worker in (0, 1):
        with pytest.raises(ProcessLookupError):
            send(tmp_path, worker, signal.SIGCONT)
    assert_identical(finish(start(tmp_path, *TWO), tmp_path), undisturbed)


def send_for_a_minute(tmp_path: Path, worker: int) -> None:
    """Until it is gone: a busy machine takes its time."""
    for _ in range(600):
        send(tmp_path, worker, signal.SIGCONT)
        time.sleep(0.1)


def test_none_is_left_behind_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, *TWO)
    wait_for_checkpoint(process, tmp_path)
    process.kill()
    process.wait()
    for worker in (0, 1):
        with pytest.raises(ProcessLookupError):
            send_for_a_minute(tmp_path, worker)


@pytest.mark.full
def test_a_worker_that_hangs_is_noticed_and_replaced(tmp_path: Path, undisturbed: dict[str, np.ndarray]) -> None:
    process = start(tmp_path, *TWO)
    wait_for_checkpoint(process, tmp_path)
    send(tmp_path, 1, signal.SIGSTOP)
    assert_identical(finish(process, tmp_path), undisturbed)


SOFTMAX = """
def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4], name="x"), layers.Dense(3, activation="softmax")])
"""
RAISES = """
def build_model(inputs_spec, hp):
    return keras.Sequential([layers.Dense(3 // 0)])
"""


def test_the_component_trains_in_two_processes_and_exports_once(tmp_path: Path) -> None:
    data = write(tmp_path, CLASSES, X, KEYS)
    settings = {"task": "multiclass", "epochs": 3, "cache": "disk"}
    two = train(tmp_path / "two", data, SOFTMAX, strategy="multi_worker", workers=2, ops="composite", **settings)
    one = train(tmp_path / "one", data, SOFTMAX, **settings)
    assert (two.custom_ops, one.custom_ops) == ("composite", "custom")
    for first, second in zip(two.weights(), one.weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)  # float32 sums in another order
    assert two.record.history.keys() == one.record.history.keys()
    points = CLASSES["eval"]["x"]
    np.testing.assert_allclose(two.predict(x=points), one.predict(x=points), atol=1e-5)


def test_an_error_in_the_users_code_is_raised_with_their_line(tmp_path: Path) -> None:
    data = write(tmp_path, CLASSES, X, KEYS)
    with pytest.raises(WorkerError, match="ZeroDivisionError") as caught:
        train(tmp_path / "raises", data, RAISES, task="multiclass", strategy="multi_worker", workers=2)
    assert caught.value.frames[-1].name == "build_model"
