"""Claims about what is measured: real files in real processes. How fast something is, no test says."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from components.quantizer import convert
from components.quantizer.delegate import delegation
from components.quantizer.measure import measure
from components.signatures import TRANSFORMED
from tests.components.quantizer.quantized import KEYS, Quantized, X, inputs, points, quantize
from tests.components.small_data import LABEL

_ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    """A network of 4 million weights, 16 MB as float32."""
    root = tmp_path_factory.mktemp("measured")
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(2000, activation="relu") for _ in range(2)]
    built = keras.Sequential([keras.Input([8]), *hidden, layers.Dense(5, activation="softmax")])
    labels = np.argmax(built(points(0)), axis=1)
    data = inputs(root, built, {"x": points(0), LABEL: labels}, X, KEYS)
    return quantize(root, data, task="multiclass", mode="int8", max_drop=1.0, max_slice_drop=None, measure=True)


@pytest.fixture(scope="module")
def float_file(quantized: Quantized, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "float.tflite"
    path.write_bytes(convert.to_float(quantized.saved_model))
    return path


def test_float_quantized_and_saved_model_are_measured_on_one_thread_and_on_several(quantized: Quantized) -> None:
    measured = quantized.record.measured
    assert [one.model for one in measured] == ["float", "int8", "SavedModel"]
    assert [one.bytes for one in measured[:2]] == [quantized.record.float_bytes, quantized.record.bytes]
    for one in measured:
        assert [found.threads for found in one.latencies] == sorted({1, min(4, len(os.sched_getaffinity(0)))})
        assert all(0 < found.median <= found.p99 < 10 for found in one.latencies)


def test_memory_is_at_least_that_of_the_weights_and_less_where_these_are_smaller(quantized: Quantized) -> None:
    """What runs has to hold its weights, 4 bytes each as float32 and 1 as int8: 16 MB and 4 MB."""
    of_float, of_int8, of_saved_model = (one.memory for one in quantized.record.measured)
    assert of_float > 16e6
    assert of_saved_model > 16e6
    assert 4e6 < of_int8 < of_float - 8e6


def test_a_tflite_file_is_measured_without_tensorflow(float_file: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=points(0)[:2])
    child = [
        "-X",
        "importtime",
        "-m",
        "components.quantizer.contender",
        float_file,
        tmp_path / "rows.npz",
        "1",
        TRANSFORMED,
    ]
    done = subprocess.run(
        [sys.executable, *child], input="0.01\n", capture_output=True, text=True, cwd=_ROOT, check=True
    )
    assert len(done.stdout.splitlines()) == 2, "ready, and one round"
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert {"ai_edge_litert", "numpy"} <= imported
    assert not {"tensorflow", "keras", "tfx"} & imported


def test_a_model_that_does_not_run_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="did not answer"):
        measure({"no": tmp_path / "absent"}, {"x": points(0)[:2]}, TRANSFORMED)


def allocated(model: bytes, resolver: OpResolverType = OpResolverType.AUTO) -> Interpreter:
    interpreter = Interpreter(model_content=model, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    return interpreter


def test_xnnpack_takes_all_of_a_float_network_and_nothing_where_it_is_off(float_file: Path) -> None:
    model = float_file.read_bytes()
    taken = delegation(allocated(model))
    assert (taken.operations, taken.left) == (4, [])
    off = delegation(allocated(model, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES))
    assert off.left == ["FULLY_CONNECTED", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"]


def test_operation_that_xnnpack_lacks_is_named(tmp_path: Path) -> None:
    """Of the operations here its documentation lists all but the angle."""

    @tf.function(input_signature=[tf.TensorSpec([4, 8], tf.float32)])
    def graph(x: tf.Tensor) -> tf.Tensor:
        return tf.math.atan2(tf.abs(x), x * x) + 1.0

    module = tf.Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()], module)
    assert delegation(allocated(converter.convert())).left == ["ATAN2"]
