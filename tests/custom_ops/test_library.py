"""Which of op and composite a call runs, what is said where there is no op, and exports that need none."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import custom_ops
from custom_ops import library

TWO_CALLS = """
import logging
logging.basicConfig(format="%(message)s")
import custom_ops
for _ in range(2):
    loss = custom_ops.smoothed_softmax_xent([[2.0, 1.0, 0.0]], [0], label_smoothing=0.1)
print(custom_ops.available(), f"{float(loss[0]):.4f}")
"""

LOAD_AND_CALL = """
import sys, tensorflow as tf
for folder in sys.argv[1:]:
    try:
        print(tf.saved_model.load(folder).loss(tf.constant([[2.0, 1.0, 0.0]]), tf.constant([0], tf.int64)).numpy())
    except Exception as error:
        print("Op type not registered" in str(error))
"""


class Module(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 3]), tf.TensorSpec([None], tf.int64)])
    def loss(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return custom_ops.smoothed_softmax_xent(logits, labels, label_smoothing=0.1)


def run_python(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a new process that imports from `folder` before anything else."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def op_types(function: tf.types.experimental.PolymorphicFunction) -> set[str]:
    return {op.type for op in function.get_concrete_function().graph.get_operations()}


def copy_without_library(folder: Path) -> Path:
    shutil.copytree(library.FOLDER, folder / "custom_ops", ignore=shutil.ignore_patterns("*.so"))
    return folder / "custom_ops"


def test_a_call_runs_the_op_and_in_the_scope_its_composite() -> None:
    assert "SmoothedSoftmaxXent" in op_types(Module().loss)
    with custom_ops.composite():
        assert "SmoothedSoftmaxXent" not in op_types(Module().loss)
    assert "SmoothedSoftmaxXent" in op_types(Module().loss)


def test_scope_holds_on_every_thread_until_the_last_one_closes() -> None:
    seen: list[bool] = []
    with custom_ops.composite():
        with custom_ops.composite():
            pass
        thread = threading.Thread(target=lambda: seen.append("SmoothedSoftmaxXent" in op_types(Module().loss)))
        thread.start()
        thread.join()
    assert seen == [False]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "the compiled ops were not built"),
        ("_ops-tf1.15.0.so", f"for another TensorFlow than {tf.__version__} (_ops-tf1.15.0.so)"),
        (f"_ops-tf{tf.__version__}.so", f"for TensorFlow 1.15.0, not {tf.__version__}"),
    ],
)
def test_without_a_fitting_library_the_composite_runs_and_says_so_once(
    tmp_path: Path, found: str | None, said: str
) -> None:
    package = copy_without_library(tmp_path)
    if found:
        (package / found).write_bytes(b'slipway-ops {"tensorflow": "1.15.0", "cuda": false}\0')
    ran = run_python(TWO_CALLS, folder=tmp_path)
    assert ran.stdout.split() == ["False", "0.5076"]  # 0.9 * 0.4076 + 0.1 / 3 * (0.4076 + 1.4076 + 2.4076)
    assert ran.stderr.count("plain TensorFlow runs instead") == 1
    assert said in ran.stderr


def test_export_in_the_scope_loads_where_the_library_does_not_exist(tmp_path: Path) -> None:
    tf.saved_model.save(Module(), str(tmp_path / "with_op"))
    with custom_ops.composite():
        tf.saved_model.save(Module(), str(tmp_path / "composite"))
    ran = run_python(LOAD_AND_CALL, "composite", "with_op", folder=tmp_path)
    loss, refused = ran.stdout.splitlines()
    np.testing.assert_allclose(float(loss.strip("[]")), 0.507606, atol=1e-6)
    assert refused == "True"  # the control: with the op inside, that process cannot load it
