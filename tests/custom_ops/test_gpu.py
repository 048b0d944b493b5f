"""Kernels for GPUs: what they compute where there is a GPU; everywhere else what is in them that needs none.

What keeps a wrong kernel from training, custom_ops/trial.py, runs here on the CPU.
"""

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import custom_ops
from custom_ops import library, trial
from custom_ops.matrix_mult import gpu
from custom_ops.smoothed_softmax_xent import op
from tests.custom_ops.product_reference import ACTIVATIONS, UNIT, activated, exact, slope
from tests.custom_ops.xent_reference import loss_and_gradient, random_case, reference

ROOT = Path(__file__).parents[2]
on_gpu = pytest.mark.skipif(
    not (tf.config.list_physical_devices("GPU") and custom_ops.available()),
    reason="TensorFlow sees no GPU, or the ops were built without CUDA's compiler",
)

COLUMN_MAJOR = """
#include "custom_ops/matrix_mult/column_major.h"
extern "C" void column_major(long m, long n, long k, bool ta, bool tb, slipway::ColumnMajorProduct* product) {
  *product = slipway::ColumnMajor(m, n, k, ta, tb);
}
"""


class Matrix(ctypes.Structure):
    _fields_ = [("rows", ctypes.c_int64), ("columns", ctypes.c_int64), ("transposed", ctypes.c_bool)]

    def of(self, memory: np.ndarray) -> np.ndarray:
        matrix = memory.reshape((self.rows, self.columns), order="F")
        return matrix.T if self.transposed else matrix


class Product(ctypes.Structure):
    _fields_ = [("first", Matrix), ("second", Matrix), ("c", Matrix)]


@pytest.fixture(scope="module")
def column_major(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    built = tmp_path_factory.mktemp("column_major") / "column_major.so"
    command = [os.environ.get("CXX", "g++"), "-shared", "-fPIC", "-I.", "-x", "c++", "-", "-o", str(built)]
    subprocess.run(command, input=COLUMN_MAJOR, text=True, check=True, cwd=ROOT)
    function = ctypes.CDLL(str(built)).column_major
    function.argtypes = [ctypes.c_int64] * 3 + [ctypes.c_bool] * 2 + [ctypes.POINTER(Product)]
    return function


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_a_product_column_by_column_is_that_row_by_row(
    column_major: Callable[..., None], transpose_a: bool, transpose_b: bool
) -> None:
    random = np.random.default_rng(0)
    a, b, lies = random.normal(size=(3, 5)), random.normal(size=(5, 7)), Product()
    column_major(3, 7, 5, transpose_a, transpose_b, ctypes.byref(lies))
    a_memory, b_memory = np.ravel(a.T if transpose_a else a), np.ravel(b.T if transpose_b else b)
    found = lies.first.of(b_memory) @ lies.second.of(a_memory)
    assert found.shape == (lies.c.rows, lies.c.columns)
    np.testing.assert_allclose(found.ravel(order="F"), np.ravel(a @ b))


def results(wrong: float) -> trial.Results:
    yield "one", tf.constant([1.0, np.nan]), [1.0, np.nan], 1e-6
    yield "two", tf.constant([1.0 + wrong, 2.0]), [1.0, 2.0], 1e-6


@pytest.mark.parametrize(("wrong", "passes"), [(0.0, True), (1e-7, True), (1e-5, False), (np.nan, False)])
def test_a_trial_is_passed_where_all_results_are_right(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrong: float, passes: bool
) -> None:
    monkeypatch.setattr(trial, "DEVICE", "CPU:0")
    with tf.Graph().as_default():  # as where a call is traced
        assert trial.passes("Something", lambda: results(wrong)) is passes
    said = [] if passes else ["custom_ops: Something is not used on this GPU, since it is wrong for two"]
    assert [record.getMessage().split(";")[0] for record in caplog.records] == said


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_kernels_that_are_right_pass_the_trial_of_products(
    monkeypatch: pytest.MonkeyPatch, dtype: tf.DType, activation: str
) -> None:
    monkeypatch.setattr(trial, "DEVICE", "CPU:0")
    assert gpu.usable.__wrapped__(dtype, activation)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_kernels_that_are_right_pass_that_of_the_loss(monkeypatch: pytest.MonkeyPatch, dtype: tf.DType) -> None:
    monkeypatch.setattr(trial, "DEVICE", "CPU:0")
    assert op._usable_on_gpu.__wrapped__(dtype)


@pytest.mark.parametrize("change", ["bias", "transpose_a", "activation"])
def test_kernels_that_are_wrong_fail_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    class Wrong:
        def matrix_mult(self, a: Any, b: Any, bias: list[Any], **options: Any) -> Any:
            if change == "bias":
                bias = [one + 1 for one in bias]
            elif change == "activation":
                options["activation"] = "none"
            elif options["transpose_a"]:
                a = a[..., ::-1, :]
            return ops.matrix_mult(a, b, bias, **options)

    ops = library.load()
    monkeypatch.setattr(trial, "DEVICE", "CPU:0")
    monkeypatch.setattr(library, "load", Wrong)
    assert not gpu.usable.__wrapped__(tf.float32, "relu")
    assert "MatrixMult (float32, relu) is not used on this GPU, since it is wrong for a" in caplog.text


def test_where_a_gpu_refuses_its_kernels_the_composite_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(library, "available", lambda: True)
    a, b = tf.ones([2, 3]), tf.ones([3, 4])
    for usable in (True, False):
        monkeypatch.setattr(gpu, "usable", lambda dtype, activation, usable=usable: usable)
        graph = tf.function(custom_ops.matrix_mult).get_concrete_function(a, b).graph
        assert ("MatrixMult" in {node.type for node in graph.get_operations()}) is usable


@on_gpu
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", UNIT)
def test_products_and_gradients_on_a_gpu_are_those_of_float64(
    caplog: pytest.LogCaptureFixture, dtype: str, activation: str
) -> None:
    assert gpu.usable(tf.as_dtype(dtype), activation), caplog.text
    tf.config.experimental.enable_tensor_float_32_execution(False)
    random = np.random.default_rng(0)
    given = [tf.cast(random.normal(size=shape), dtype) for shape in ((2, 33, 64), (64, 40), (40,))]
    with tf.GradientTape() as tape:
        tape.watch(given)
        found = custom_ops.matrix_mult(*given, activation=activation, keep_slope=True)
    assert "GPU" in found.device
    a, b, bias = (exact(one) for one in given)
    z = a @ b + bias
    expected, d_z = activated(z, activation), slope(z, exact(found), activation).astype(float)
    gradients = d_z @ b.T, np.einsum("bmk,bmn->kn", a, d_z), d_z.sum(axis=(0, 1))
    for one, other in zip([found, *tape.gradient(found, given)], [expected, *gradients], strict=True):
        allowed = (8 * UNIT[dtype] + 100 * UNIT["float32"]) * np.abs(other).max()
        np.testing.assert_allclose(exact(one), other, rtol=0, atol=allowed)


@on_gpu
@pytest.mark.parametrize("dtype", UNIT)
def test_the_loss_on_a_gpu_is_that_of_float64(dtype: str) -> None:
    logits, labels = random_case((50, 1025))
    labels[7] = 1025  # what a GPU cannot refuse
    loss, gradient = loss_and_gradient(tf.cast(logits, dtype), labels, label_smoothing=0.1, ignore_index=3)
    assert np.isnan(loss[7]) and np.isnan(gradient[7].astype(float)).all()
    kept = np.arange(50) != 7
    expected = reference(logits[kept], labels[kept], label_smoothing=0.1, ignore_index=3)
    np.testing.assert_allclose(loss[kept], expected[0], rtol=1e-5)
    np.testing.assert_allclose(gradient[kept].astype(float), expected[1], rtol=2 * UNIT[dtype] + 1e-5, atol=2e-7)
