"""Claims about the Evaluator, run against real MLMD.

The models answer with a column of the data; scikit-learn says what metrics those answers have.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import sklearn.metrics

from components.artifacts import LABEL_NAMES
from components.evaluator.component import Evaluator
from components.evaluator.eval_config import Bounds, eval_config
from lineage.outcome import InputError
from lineage.records import EvaluationRecord
from tests.components import small_data
from tests.components.small_data import LABEL, SPLITS, fixed, softmax
from tests.tfx_harness import Given, Ran, run_component

ROWS = 200
TINY = 7  # rows of the slice on which every prediction is wrong


class Answer(keras.Model):
    """Answers with one of its input columns."""

    def __init__(self, column: str):
        super().__init__()
        self._column = column

    def call(self, inputs: Any) -> Any:
        return inputs[self._column] if isinstance(inputs, Mapping) else inputs


def write_model(folder: Path, column: str, *features: str) -> Given:
    return small_data.model(folder, Answer(column), *features)


def evaluate(root: Path, data: dict[str, Given], task: str, **settings: Any) -> tuple[EvaluationRecord, bool]:
    """The record that the Evaluator wrote, and whether MLMD says that it blessed."""

    def component(**channels: Any) -> Evaluator:
        arguments = {"slices": [], "metrics": [], "bounds": {}} | settings
        config = eval_config(task, LABEL, **arguments)
        return Evaluator(**{"baseline_model": None} | channels, eval_config=config)

    ran: Ran = run_component(root, component, data)
    record = EvaluationRecord.load(ran.uri("evaluation"))
    assert record is not None
    [blessing] = ran.outputs["blessing"]
    blessed = blessing.custom_properties["blessed"].int_value == 1
    assert Path(blessing.uri, "BLESSED").exists() == blessed
    return record, blessed


def multiclass_rows() -> dict[str, np.ndarray]:
    """`score`: right for about 60 %, always wrong in group 9; `better`: right for about 90 %."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, ROWS)
    group = np.where(np.arange(ROWS) < TINY, 9, random.integers(0, 3, ROWS))
    right = random.random(ROWS) < 0.6
    shown = np.where(right & (group != 9), labels, (labels + 1) % 4)
    better = np.where(random.random(ROWS) < 0.9, labels, (labels + 2) % 4)

    def scores(answers: np.ndarray) -> np.ndarray:
        return softmax(random.normal(size=(ROWS, 4)) + 6 * np.eye(4)[answers]).astype(np.float32)

    return {"score": scores(shown), "better": scores(better), "group": group, LABEL: labels}


MULTICLASS = multiclass_rows()
FEATURES = (fixed("score", "FLOAT", 4), fixed("better", "FLOAT", 4), fixed("group", "INT", 1), fixed(LABEL, "INT", 1))
PREDICTED = np.argmax(MULTICLASS["score"], axis=1)
ACCURACY = sklearn.metrics.accuracy_score(MULTICLASS[LABEL], PREDICTED)


@pytest.fixture(scope="module")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    folder = tmp_path_factory.mktemp("multiclass")
    one_row = {name: column[:1] for name, column in MULTICLASS.items()}
    splits = {"train": one_row, "eval": one_row, "test": MULTICLASS}
    return {
        "examples": small_data.examples(folder / "examples", splits),
        "model": write_model(folder / "candidate", "score", *FEATURES),
        "baseline_model": write_model(folder / "baseline", "better", *FEATURES),
    }


@pytest.fixture(scope="module")
def alone(multiclass: dict[str, Given], tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluationRecord, bool]:
    """Without a baseline, bounded just under what the whole split reaches."""
    given = {key: artifact for key, artifact in multiclass.items() if key != "baseline_model"}
    bounds = {"sparse_categorical_accuracy": Bounds(min=ACCURACY - 0.01, min_change=0.5)}
    root = tmp_path_factory.mktemp("alone")
    return evaluate(root, given, "multiclass", slices=["group", "group,label"], bounds=bounds)


def test_multiclass_metrics_are_those_of_scikit_learn(alone: tuple[EvaluationRecord, bool]) -> None:
    record, _ = alone
    assert record.split == "test"
    assert record.overall == {
        "sparse_categorical_accuracy": pytest.approx(ACCURACY),
        "sparse_categorical_crossentropy": pytest.approx(
            sklearn.metrics.log_loss(MULTICLASS[LABEL], MULTICLASS["score"].astype(float)), rel=1e-5
        ),
    }


def test_confusion_matrix_is_that_of_scikit_learn(alone: tuple[EvaluationRecord, bool]) -> None:
    matrix = alone[0].confusion_matrix
    assert matrix is not None
    assert matrix.labels == ["0", "1", "2", "3"]
    assert matrix.counts == sklearn.metrics.confusion_matrix(MULTICLASS[LABEL], PREDICTED).tolist()


def test_slices_have_their_own_rows_and_metrics(alone: tuple[EvaluationRecord, bool]) -> None:
    slices = {part.name: part for part in alone[0].slices}
    groups, labels = MULTICLASS["group"], MULTICLASS[LABEL]
    expected = {"": np.ones(ROWS, bool)} | {f"group:{group}": groups == group for group in (0, 1, 2, 9)}
    crosses = {(group, label) for group, label in zip(groups, labels, strict=True)}
    expected |= {f"group:{g}, label:{label}": (groups == g) & (labels == label) for g, label in crosses}
    assert {name: part.examples for name, part in slices.items()} == {
        n: int(rows.sum()) for n, rows in expected.items()
    }
    for name, rows in expected.items():
        accuracy = sklearn.metrics.accuracy_score(labels[rows], PREDICTED[rows])
        assert slices[name].metrics["sparse_categorical_accuracy"] == pytest.approx(accuracy), name


def test_bound_that_only_a_tiny_slice_breaks_still_blesses(alone: tuple[EvaluationRecord, bool]) -> None:
    record, blessed = alone
    [tiny] = [part for part in record.slices if part.name == "group:9"]
    assert (tiny.examples, tiny.metrics["sparse_categorical_accuracy"]) == (TINY, 0)
    assert (record.blessed, blessed, record.reasons) == (True, True, [])


def test_change_is_not_asked_for_without_a_baseline(alone: tuple[EvaluationRecord, bool]) -> None:
    """Bounds.min_change of the fixture, +0.5, could not be met by any model."""
    record, blessed = alone
    assert (record.has_baseline, blessed) == (False, True)


def test_candidate_that_is_worse_than_the_baseline_is_refused(multiclass: dict[str, Given], tmp_path: Path) -> None:
    bounds = {"SparseCategoricalAccuracy": Bounds(min=0.1, min_change=-0.01)}
    record, blessed = evaluate(tmp_path, multiclass, "multiclass", bounds=bounds)
    assert (record.has_baseline, record.blessed, blessed) == (True, False, False)
    better = sklearn.metrics.accuracy_score(MULTICLASS[LABEL], np.argmax(MULTICLASS["better"], axis=1))
    assert record.reasons == [
        f"sparse_categorical_accuracy changed by {ACCURACY - better:.4f} against the blessed model, "
        "at least -0.01 is required"
    ]
    assert record.overall["sparse_categorical_accuracy"] == pytest.approx(ACCURACY), "of the candidate"


def test_candidate_that_is_better_than_the_baseline_is_blessed(multiclass: dict[str, Given], tmp_path: Path) -> None:
    swapped = multiclass | {"model": multiclass["baseline_model"], "baseline_model": multiclass["model"]}
    bounds = {
        "sparse_categorical_accuracy": Bounds(min_change=0.1),
        "sparse_categorical_crossentropy": Bounds(max_change=0.0),
    }
    record, blessed = evaluate(tmp_path, swapped, "multiclass", bounds=bounds)
    assert (record.has_baseline, record.blessed, blessed, record.reasons) == (True, True, True, [])


def test_first_model_is_blessed_when_only_changes_are_bounded(multiclass: dict[str, Given], tmp_path: Path) -> None:
    """Otherwise there would never be a model to compare with."""
    given = {key: artifact for key, artifact in multiclass.items() if key != "baseline_model"}
    bounds = {"sparse_categorical_accuracy": Bounds(min_change=-0.01)}
    record, blessed = evaluate(tmp_path, given, "multiclass", bounds=bounds)
    assert (record.has_baseline, record.blessed, blessed, record.reasons) == (False, True, True, [])


def binary_rows() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, ROWS)
    scores = np.clip(random.normal(0.35 + 0.3 * labels, 0.2), 0.01, 0.99).astype(np.float32)
    return {"score": scores, LABEL: labels}


def test_binary_metrics_and_matrix_are_those_of_scikit_learn_and_broken_bounds_are_told(tmp_path: Path) -> None:
    rows, features = binary_rows(), (fixed("score", "FLOAT", 1), fixed(LABEL, "INT", 1))
    labels, scores = rows[LABEL], rows["score"].astype(float)
    data = {
        "examples": small_data.examples(tmp_path / "examples", dict.fromkeys(SPLITS, rows)),
        "model": write_model(tmp_path / "model", "score", *features),
    }
    bounds = {"auc": Bounds(min=0.99, max=1), "binary_crossentropy": Bounds(max=0.1), "recall": Bounds(min=0.1)}
    settings = {"metrics": ["MeanSquaredError"], "slices": [LABEL], "bounds": bounds}
    record, blessed = evaluate(tmp_path, data, "binary", **settings)

    auc, loss = sklearn.metrics.roc_auc_score(labels, scores), sklearn.metrics.log_loss(labels, scores)
    assert record.overall == {
        "binary_accuracy": pytest.approx(sklearn.metrics.accuracy_score(labels, scores > 0.5)),
        "auc": pytest.approx(auc, abs=1e-3),  # TFMA interpolates between 10,000 thresholds
        "precision": pytest.approx(sklearn.metrics.precision_score(labels, scores > 0.5)),
        "recall": pytest.approx(sklearn.metrics.recall_score(labels, scores > 0.5)),
        "binary_crossentropy": pytest.approx(loss, rel=1e-5),
        "mean_squared_error": pytest.approx(sklearn.metrics.mean_squared_error(labels, scores), rel=1e-5),
    }
    assert record.confusion_matrix is not None
    assert record.confusion_matrix.labels == ["0", "1"]
    assert record.confusion_matrix.counts == sklearn.metrics.confusion_matrix(labels, scores > 0.5).tolist()
    assert (record.blessed, blessed) == (False, False)
    assert sorted(record.reasons) == [
        f"auc is {record.overall['auc']:.4f}, at least 0.99 and at most 1 is required",
        f"binary_crossentropy is {loss:.4f}, at most 0.1 is required",
    ]

    zeros, ones = (part.metrics for part in record.slices if part.name)
    assert np.isnan([zeros["auc"], ones["auc"], zeros["recall"]]).all(), "one class has no such thing"
    assert np.isfinite([ones["recall"], zeros["precision"]]).all()


LABELS = 3


def multilabel_rows() -> dict[str, np.ndarray]:
    """Labels of which one is rare, scores with an offset of their own each, and weights of which some are 0."""
    random = np.random.default_rng(3)
    labels = (random.random((ROWS, LABELS)) < [0.05, 0.5, 0.8]).astype(int)
    scores = np.clip(random.normal([0.1, 0.4, 0.6] + 0.2 * labels, 0.2), 0.01, 0.99).astype(np.float32)
    better = np.clip(scores + 0.1 * (2 * labels - 1), 0.01, 0.99).astype(np.float32)
    weights = random.integers(0, 4, ROWS).astype(np.float32)
    return {"score": scores, "better": better, "group": random.integers(0, 2, ROWS), "w": weights, LABEL: labels}


MULTILABEL = multilabel_rows()


@pytest.fixture(scope="module")
def multilabel(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluationRecord, bool]:
    """With a blessed model that is better, and names of the labels."""
    root = tmp_path_factory.mktemp("multilabel")
    features = [fixed("score", "FLOAT", 3), fixed("better", "FLOAT", 3), fixed(LABEL, "INT", 3)]
    examples = small_data.examples(root / "examples", dict.fromkeys(SPLITS, MULTILABEL))
    examples.custom_properties[LABEL_NAMES] = '["rare", "even", "often"]'
    data = {
        "examples": examples,
        "model": write_model(root / "model", "score", *features),
        "baseline_model": write_model(root / "baseline", "better", *features),
    }
    bounds = {"auc": Bounds(min=0.5, min_change=-0.01), "binary_accuracy": Bounds(min=0.99)}
    return evaluate(
        root, data, "multilabel", slices=["group"], metrics=["BinaryCrossentropy"], bounds=bounds, weight="w"
    )


def auc_of_each(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    aucs = [sklearn.metrics.roc_auc_score(y, s, sample_weight=weights) for y, s in zip(labels.T, scores.T, strict=True)]
    return np.array(aucs)


def test_multilabel_metrics_are_weighted_and_auc_is_the_mean_over_the_labels(
    multilabel: tuple[EvaluationRecord, bool],
) -> None:
    record, _ = multilabel
    assert (record.weight, record.confusion_matrix) == ("w", None)
    slices = {part.name: part for part in record.slices}
    for name, rows in {"": np.ones(ROWS, bool), "group:1": MULTILABEL["group"] == 1}.items():
        y, scores, weights = (MULTILABEL[column][rows] for column in (LABEL, "score", "w"))
        flat = {"y_true": y.ravel(), "sample_weight": np.repeat(weights, LABELS)}
        hard = flat | {"y_pred": scores.ravel() > 0.5}
        assert slices[name].examples == rows.sum(), "a count, not a sum of weights"
        assert slices[name].metrics == {
            "binary_accuracy": pytest.approx(np.average((y == (scores > 0.5)).mean(axis=1), weights=weights)),
            "auc": pytest.approx(auc_of_each(y, scores, weights).mean(), abs=1e-3),
            "precision": pytest.approx(sklearn.metrics.precision_score(**hard)),
            "recall": pytest.approx(sklearn.metrics.recall_score(**hard)),
            "binary_crossentropy": pytest.approx(
                sklearn.metrics.log_loss(
                    flat["y_true"], scores.ravel().astype(float), sample_weight=flat["sample_weight"]
                ),
                rel=1e-5,
            ),
        }


def test_each_label_has_its_own_metrics_under_its_name(multilabel: tuple[EvaluationRecord, bool]) -> None:
    y, scores, weights = (MULTILABEL[column] for column in (LABEL, "score", "w"))
    labels = multilabel[0].labels
    assert [(label.name, label.positives) for label in labels] == [
        (name, y[:, number].sum()) for number, name in enumerate(("rare", "even", "often"))
    ]
    aucs = auc_of_each(y, scores, weights)
    for number, label in enumerate(labels):
        right = y[:, number] == (scores[:, number] > 0.5)
        assert set(label.metrics) == {"binary_accuracy", "auc", "precision", "recall"}
        assert label.metrics["binary_accuracy"] == pytest.approx(np.average(right, weights=weights))
        assert label.metrics["auc"] == pytest.approx(aucs[number], abs=1e-3)


def test_bounds_of_a_multilabel_model_are_on_the_means(multilabel: tuple[EvaluationRecord, bool]) -> None:
    record, blessed = multilabel
    y, scores, better, weights = (MULTILABEL[column] for column in (LABEL, "score", "better", "w"))
    change = auc_of_each(y, scores, weights).mean() - auc_of_each(y, better, weights).mean()
    assert record.changes["auc"] == pytest.approx(change, abs=1e-3)
    assert (record.blessed, blessed) == (False, False)
    accuracy = record.overall["binary_accuracy"]
    assert sorted(record.reasons) == [
        f"auc changed by {record.changes['auc']:+.4f} against the blessed model, at least -0.01 is required",
        f"binary_accuracy is {accuracy:.4f}, at least 0.99 is required",
    ]


def test_confusion_matrix_counts_examples_whatever_they_weigh(tmp_path: Path) -> None:
    rows = binary_rows() | {"w": np.linspace(0, 2, ROWS).astype(np.float32)}
    data = {
        "examples": small_data.examples(tmp_path / "examples", dict.fromkeys(SPLITS, rows)),
        "model": write_model(tmp_path / "model", "score", fixed("score", "FLOAT", 1), fixed(LABEL, "INT", 1)),
    }
    record, _ = evaluate(tmp_path, data, "binary", weight="w")
    shown = rows["score"] > 0.5
    assert record.confusion_matrix is not None
    assert record.confusion_matrix.counts == sklearn.metrics.confusion_matrix(rows[LABEL], shown).tolist()
    assert record.overall["binary_accuracy"] == pytest.approx(np.average(shown == rows[LABEL], weights=rows["w"]))


def test_regression_metrics_are_those_of_scikit_learn_and_without_a_bound_nothing_is_blessed(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    labels = random.normal(10, 3, ROWS).astype(np.float32)
    rows = {"score": labels + random.normal(0, 2, ROWS).astype(np.float32), LABEL: labels}
    data = {
        "examples": small_data.examples(tmp_path / "examples", dict.fromkeys(SPLITS, rows)),
        "model": write_model(tmp_path / "model", "score", fixed("score", "FLOAT", 1), fixed(LABEL, "FLOAT", 1)),
    }
    record, blessed = evaluate(tmp_path, data, "regression")
    assert record.overall == {
        "mean_absolute_error": pytest.approx(sklearn.metrics.mean_absolute_error(labels, rows["score"]), rel=1e-5),
        "mean_squared_error": pytest.approx(sklearn.metrics.mean_squared_error(labels, rows["score"]), rel=1e-5),
    }
    assert record.confusion_matrix is None
    assert (record.blessed, blessed, record.reasons) == (False, False, ["no threshold could be checked"])


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel", "regression"])
def test_bound_on_an_unknown_metric_is_wrong_input_that_lists_those_there_are(task: str) -> None:
    metrics = {"multiclass": "sparse_categorical_accuracy", "regression": "mean_absolute_error"}
    with pytest.raises(
        InputError, match=rf"thresholds: acuracy is not among the metrics .*{metrics.get(task, 'auc')}.*top_five"
    ):
        eval_config(task, LABEL, slices=[], metrics=["TopFive"], bounds={"acuracy": Bounds(min=0.5)})
