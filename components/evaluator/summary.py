"""TFMA's results as an EvaluationRecord: metrics by slice, confusion matrix, and why a model was not blessed."""

import math
from collections.abc import Sequence
from typing import Any

import tensorflow_model_analysis as tfma

from lineage.records import ConfusionMatrix, EvaluationRecord, Label, Slice

_MATRIX = "multi_class_confusion_matrix_at_thresholds"
_DIFF = "_diff"  # what TFMA appends to a metric's name for candidate minus baseline
_MEAN = "macro_average: true\n_"  # what it puts before the name of a mean over the labels
_CELLS = ("true_negatives", "false_positives", "false_negatives", "true_positives")
_MOST_CLASSES = 1000  # beyond, nobody could read the matrix, and of 32,768 classes it fills the memory
_COUNTS = ("example_count", *_CELLS)


def summarize(
    folder: str, split: str, *, has_baseline: bool, weight: str = "", label_names: Sequence[str] = ()
) -> EvaluationRecord:
    """Reads what TFMA wrote into `folder` about the candidate model.

    Args:
      folder: The `evaluation` artifact.
      split: What was evaluated.
      has_baseline: Whether it was compared with the blessed model.
      weight: The column by which examples were weighted.
      label_names: Names of the labels of a multi-label model; where there are none they are their numbers.
    """
    result = tfma.load_eval_result(folder)
    parts = {_slice_name(key): values[""] for key, values in result.slicing_metrics}
    metrics = {name: _without_mean(part[""]) for name, part in parts.items()}
    validation = tfma.load_validation_result(folder)
    return EvaluationRecord(
        split=split,
        weight=weight,
        slices=[_slice(name, values) for name, values in sorted(metrics.items())],
        labels=_labels(parts[""], label_names),
        confusion_matrix=_multiclass_matrix(metrics[""]) or _binary_matrix(metrics[""]),
        blessed=validation.validation_ok,
        has_baseline=has_baseline,
        reasons=_reasons(validation),
    )


def _slice_name(key: tuple[tuple[str, Any], ...]) -> str:
    return ", ".join(f"{column}:{value}" for column, value in key)


def _without_mean(values: dict[str, Any]) -> dict[str, Any]:
    return {metric.removeprefix(_MEAN): value for metric, value in values.items()}


def _labels(values: dict[str, dict[str, Any]], names: Sequence[str]) -> list[Label]:
    """Metrics of each label, of a multi-label model."""
    labels = []
    for number in range(len(values) - 1):
        numbers = _numbers(values[f"classId:{number}"])
        shown = {m: value for m, value in numbers.items() if m not in _COUNTS and not m.endswith(_DIFF)}
        positives = int(numbers["true_positives"] + numbers["false_negatives"])
        labels.append(Label(name=names[number] if names else str(number), positives=positives, metrics=shown))
    return labels


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    numbers = {metric: value["doubleValue"] for metric, value in values.items() if "doubleValue" in value}
    return numbers | dict.fromkeys(_undefined(numbers), math.nan)


def _slice(name: str, values: dict[str, Any]) -> Slice:
    numbers = _numbers(values)
    shown = {metric: value for metric, value in numbers.items() if metric.removesuffix(_DIFF) not in _COUNTS}
    return Slice(
        name=name,
        examples=int(numbers["example_count"]),
        metrics={metric: value for metric, value in shown.items() if not metric.endswith(_DIFF)},
        changes={metric.removesuffix(_DIFF): value for metric, value in shown.items() if metric.endswith(_DIFF)},
    )


def _undefined(numbers: dict[str, float]) -> set[str]:
    """Metrics of a binary slice that TFMA gives as 0 though there is nothing to divide by."""
    if not all(cell in numbers for cell in _CELLS):
        return set()
    negatives, false_alarms, misses, positives = (numbers[cell] for cell in _CELLS)
    no_positive, no_negative = misses + positives == 0, negatives + false_alarms == 0
    found = {"auc": no_positive or no_negative, "recall": no_positive, "precision": false_alarms + positives == 0}
    return {metric for metric, is_undefined in found.items() if is_undefined and metric in numbers}


def _multiclass_matrix(values: dict[str, Any]) -> ConfusionMatrix | None:
    if _MATRIX not in values:
        return None
    entries = values[_MATRIX]["multiClassConfusionMatrixAtThresholds"]["matrices"][0]["entries"]
    cells = {(e.get("actualClassId", 0), e.get("predictedClassId", 0)): int(e["numWeightedExamples"]) for e in entries}
    classes = range(1 + max(max(cell) for cell in cells))
    if len(classes) > _MOST_CLASSES:
        return None
    return ConfusionMatrix(
        labels=[str(label) for label in classes],
        counts=[[cells.get((actual, predicted), 0) for predicted in classes] for actual in classes],
    )


def _binary_matrix(values: dict[str, Any]) -> ConfusionMatrix | None:
    if not all(name in values for name in _CELLS):
        return None
    negatives, false_alarms, misses, positives = (int(values[name]["doubleValue"]) for name in _CELLS)
    return ConfusionMatrix(labels=["0", "1"], counts=[[negatives, false_alarms], [misses, positives]])


def _reasons(validation: Any) -> list[str]:
    """One sentence for each bound that the candidate broke."""
    reasons = []
    for part in validation.metric_validations_per_slice:
        for failure in part.failures:
            value = failure.metric_value.double_value.value
            is_change = failure.metric_key.is_diff
            said = f"changed by {value:+.4f} against the blessed model" if is_change else f"is {value:.4f}"
            reasons.append(f"{failure.metric_key.name.removesuffix(_DIFF)} {said}, {_bound(failure)}")
    if validation.missing_thresholds:
        reasons.append("no threshold could be checked")
    return reasons


def _bound(failure: Any) -> str:
    absolute, change = failure.metric_threshold.value_threshold, failure.metric_threshold.change_threshold
    if failure.metric_key.is_diff:
        direction = "at least" if change.direction == tfma.MetricDirection.HIGHER_IS_BETTER else "at most"
        return f"{direction} {change.absolute.value:g} is required"
    bounds = []
    if absolute.HasField("lower_bound"):
        bounds.append(f"at least {absolute.lower_bound.value:g}")
    if absolute.HasField("upper_bound"):
        bounds.append(f"at most {absolute.upper_bound.value:g}")
    return f"{' and '.join(bounds)} is required"
