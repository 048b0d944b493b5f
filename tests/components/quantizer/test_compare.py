"""Claims about the comparison of two models and about the gate, on known answers; no pipeline is run."""

import tracemalloc
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.dataset import AnySplit, Split
from components.evaluator.metrics import TASK_METRICS
from components.quantizer import graph
from components.quantizer.answers import Answers, ask
from components.quantizer.compare import Comparison, Truth, compare
from components.quantizer.convert import to_float
from components.quantizer.gate import Gate
from components.quantizer.interpreter import TFLite
from components.quantizer.interval import paired_interval
from components.quantizer.settings import QuantizerSettings
from components.quantizer.slices import Slice
from tests.components import small_data
from tests.components.dataset.columns import on_disk
from tests.components.quantizer.quantized import ROWS, X, classifier, points
from tests.components.small_data import LABEL


def compared(float_model: TFLite, quantized: TFLite, test: AnySplit, task: str) -> Comparison:
    truth = Truth.of(test, task=task, label=LABEL)
    return compare(truth, ask(float_model, test, task), ask(quantized, test, task))


def answers(labels: np.ndarray) -> Answers:
    """Those of a model that is right about these labels, 0 and 1."""
    return Answers.of("multiclass", [np.eye(2, dtype=np.float32)[labels]])


def judged(labels: np.ndarray, said: np.ndarray, *slices: Slice, **bounds: Any) -> list[str]:
    """Why a quantized model that says this is refused, where the float model is always right."""
    truth = Truth("multiclass", labels, None, slices)
    found = compare(truth, answers(labels), answers(said))
    return Gate(QuantizerSettings(**bounds)).reasons(found, [])


def test_weights_count_in_the_error_of_a_regression_and_in_that_of_the_median(tmp_path: Path) -> None:
    dense = layers.Dense(1)
    built = keras.Sequential([keras.Input([8]), dense])
    float_model = small_data.model(tmp_path / "float", built, X)
    dense.set_weights([weights + 0.1 for weights in dense.get_weights()])  # in place of a quantized one, and worse
    worse = small_data.model(tmp_path / "worse", built, X)
    models = [TFLite(to_float(str(Path(model.uri, "Format-Serving")))) for model in (float_model, worse)]
    x, random = points(10), np.random.default_rng(10)
    errors = random.normal(size=ROWS).astype(np.float32)
    counts = random.integers(0, 4, ROWS)

    labels = models[0].predict({"x": x})[:, 0] + errors
    weighted = Split("test", {"x": tf.constant(x)}, tf.constant(labels), tf.constant(counts, tf.float32))
    often = np.repeat(np.arange(ROWS), counts)  # a row that weighs 3 is there three times
    repeated = Split("test", {"x": tf.constant(x[often])}, tf.constant(labels[often]))
    one, other = (compared(*models, split, "regression") for split in (weighted, repeated))
    assert one.float_value == pytest.approx(np.average(np.abs(errors), weights=counts), rel=1e-5)
    assert (one.value, one.drop) == pytest.approx((other.value, other.drop), rel=1e-5)
    assert one.drop > 0.01


def test_model_that_is_not_integer_throughout_or_not_finite_is_refused_whatever_its_accuracy(tmp_path: Path) -> None:
    dense = layers.Dense(1)
    built = keras.Sequential([keras.Input([8]), dense])
    small_data.model(tmp_path / "good", built, X)
    dense.set_weights([np.full((8, 1), np.nan), np.zeros(1)])
    small_data.model(tmp_path / "bad", built, X)
    files = [to_float(str(tmp_path / name / "Format-Serving")) for name in ("good", "bad")]
    good, bad = map(TFLite, files)
    split = Split("test", {"x": tf.constant(points(8))}, tf.zeros([ROWS], tf.int64))
    gate = Gate(QuantizerSettings(max_drop=1, max_slice_drop=1))

    same = compared(good, good, split, "binary")
    assert (same.drop, same.agreement) == (0, 1)
    assert gate.reasons(same, graph.float_ops(graph.read(files[0]))) == [
        "1 operations stay float: FULLY_CONNECTED (no range of its values is known)"
    ]
    assert gate.reasons(same, []) == []
    broken = gate.reasons(compared(good, bad, split, "binary"), [])
    assert "some predictions of the quantized model are not finite" in broken


def test_comparison_with_a_split_on_disk_is_that_with_one_in_memory(tmp_path: Path) -> None:
    built = classifier(8, 32, 5, "softmax")
    small_data.model(tmp_path / "float", built, X)
    built.layers[0].set_weights([np.round(weights, 1) for weights in built.layers[0].get_weights()])
    small_data.model(tmp_path / "worse", built, X)
    models = [TFLite(to_float(str(tmp_path / name / "Format-Serving"))) for name in ("float", "worse")]
    split = Split("test", {"x": tf.constant(points(0))}, tf.constant(np.arange(ROWS) % 5))
    disk = on_disk(split, tmp_path / "test", block_rows=17, memory=1)
    assert compared(*models, disk, "multiclass") == compared(*models, split, "multiclass")


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel", "regression"])
def test_value_is_that_of_the_keras_metric_by_which_the_evaluator_measures(task: str) -> None:
    random = np.random.default_rng(0)
    said = random.random((ROWS, {"multiclass": 4, "multilabel": 3}.get(task, 1))).astype(np.float32)
    shape = (ROWS, 3) if task == "multilabel" else (ROWS,)
    labels = random.integers(0, 4 if task == "multiclass" else 2, shape)
    weights = random.integers(0, 3, ROWS).astype(np.float32)
    metric = getattr(keras.metrics, TASK_METRICS[task][0])()
    metric.update_state(labels.reshape(ROWS, -1), said, sample_weight=weights)
    found = compare(Truth(task, labels, weights, []), *[Answers.of(task, [said])] * 2)
    assert found.value == pytest.approx(float(metric.result()), rel=1e-5)


def test_interval_of_right_and_wrong_answers_is_agrestis_and_mins() -> None:
    """By their formula: 12 harmed and 3 mended of 100; (12 - 3) / 102 -+ 1.96 sqrt((12.5 + 3.5) - 81 / 102) / 102."""
    differences = np.array([1.0] * 12 + [-1.0] * 3 + [0.0] * 85)
    half = 1.959964 * np.sqrt(16 - 81 / 102) / 102
    assert paired_interval(differences) == pytest.approx((9 / 102 - half, 9 / 102 + half), rel=1e-6)
    assert paired_interval(differences, np.full(100, 0.25)) == pytest.approx(paired_interval(differences))


def test_damage_to_one_class_is_refused_by_its_slice_where_the_whole_passes() -> None:
    labels = np.array([0] * 950 + [1] * 50)
    said = np.where(np.arange(1000) >= 980, 0, labels)  # 20 of the 50 are lost: 2 points overall, 40 of the class
    by_class = Slice("label:1", np.arange(950, 1000))
    assert judged(labels, said, by_class, max_drop=0.03, max_slice_drop=None) == []
    [reason] = judged(labels, said, by_class, max_drop=0.03, max_slice_drop=0.05)
    assert reason.startswith("accuracy on label:1 (50 examples) is worse by 0.4000 (95 % interval 0.2")


def test_slice_of_few_examples_does_not_refuse_by_luck() -> None:
    labels = np.arange(1000) % 2
    tiny = Slice("column:rare", np.arange(3))
    said = np.where(np.arange(1000) == 0, 1 - labels, labels)  # one of its three examples, of all the only one
    assert judged(labels, said, tiny, max_drop=0.01, max_slice_drop=0.05) == []
    said = np.where(np.arange(1000) < 3, 1 - labels, labels)
    assert judged(labels, said, Slice("column:rare", np.arange(1)), max_drop=0.01, max_slice_drop=0.05) == []


def test_slice_of_many_examples_within_the_bound_passes_and_beyond_it_does_not() -> None:
    labels = np.zeros(4000, int)
    for harmed, refused in ((160, False), (400, True)):  # 4 and 10 points, where 5 are allowed
        said = np.where(np.arange(4000) < harmed, 1, 0)
        reasons = judged(labels, said, Slice("all", np.arange(4000)), max_drop=1, max_slice_drop=0.05)
        assert bool(reasons) == refused


def test_model_that_says_one_thing_is_refused_unless_the_float_model_does_too() -> None:
    labels = np.array([0] * 99 + [1])
    constant = np.zeros(100, int)
    [reason] = judged(labels, constant, max_drop=0.02)
    assert reason == "the quantized model says the same about every example (1, 0), the float model does not"
    assert judged(constant, constant) == []


def test_least_agreement_is_required() -> None:
    labels = np.arange(100) % 2
    said = np.where(np.arange(100) < 4, 1 - labels, labels)
    assert judged(labels, said, max_drop=0.05, min_agreement=0.96) == []
    assert judged(labels, said, max_drop=0.05, min_agreement=0.97) == [
        "both models say the same about 0.9600 of the examples, at least 0.97 is required"
    ]


def test_of_several_labels_each_is_judged_on_the_examples_that_have_it() -> None:
    labels = np.array([[1, 1]] * 40 + [[1, 0]] * 60)
    said = np.where(np.arange(100)[:, None] < [0, 30], 0, labels).astype(np.float32)
    split = Split("test", {}, tf.constant(labels))
    one, other = (Answers.of("multilabel", [shown]) for shown in (labels.astype(np.float32), said))
    found = compare(Truth.of(split, task="multilabel", label=LABEL), one, other)
    assert {part.name: (part.examples, part.drop) for part in found.slices} == {
        "label:0": (100, 0),
        "label:1": (40, pytest.approx(0.75)),
    }
    assert found.drop == pytest.approx(0.15)


def test_predictions_of_many_classes_are_not_kept() -> None:
    """Of 2,000 examples and 4,000 classes they would be 32 MB; what is kept is 8 bytes an example."""
    labels, batches = np.arange(2000), range(0, 2000, 250)
    tracemalloc.start()
    kept = Answers.of("multiclass", (np.eye(250, 4000, start, np.float32) for start in batches))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(kept.said, labels)
    assert (kept.finite, kept.constant) == (True, None)
    assert kept.said.nbytes == 16_000
    assert most < 15e6, "two batches of 4 MB and what is computed of them"
