"""What the page's server refuses, and that the lock files of npm name no registry. The page itself is looked at in
tests/end_to_end/test_digits.py, with the model that the digits' pipeline pushes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

ROOT = Path(__file__).parents[2]


def serve(model: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "deploy/web/serve.py", str(model), "--port", "0"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_folder_without_a_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    ran = serve(tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"There is no model.tflite at {tmp_path}: push one (make demo)")
    assert ran.stderr.count("\n") == 1


def test_a_file_that_is_no_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"no model at all")
    ran = serve(file)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"{file} cannot be read as a TFLite file: ")
    assert ran.stderr.count("\n") == 1


def test_a_model_of_something_else_is_refused_with_what_it_takes_and_what_was_expected(tmp_path: Path) -> None:
    double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([double.get_concrete_function()])
    file = tmp_path / "model.tflite"
    file.write_bytes(converter.convert())
    ran = serve(file)
    assert ran.returncode == 1
    both = "float32 [3] of scale 0, zero point 0"
    assert ran.stderr.splitlines()[-1].startswith(f"{file} takes {both} and gives {both}. The page expects uint8")


@pytest.mark.parametrize("folder", ["deploy/web", "tests/deploy"])
def test_lock_file_names_no_registry(folder: str) -> None:
    lock = json.loads((ROOT / folder / "package-lock.json").read_text(encoding="utf-8"))
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages
    assert all("integrity" in package and "resolved" not in package for package in packages)
