"""Float against quantized on the same examples, and the decision whether the quantized model is good enough."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.dataset import AnySplit
from components.quantizer.interpreter import TFLite
from lineage.records import QuantizationRecord

_ERROR = "mean_absolute_error"


def compare(
    float_model: TFLite, quantized: TFLite, test: AnySplit, *, task: str, mode: str, max_drop: float
) -> QuantizationRecord:
    """Runs both models on the whole split.

    Args:
      float_model: The float32 TFLite model.
      quantized: The quantized TFLite model.
      test: Labels, features as the models take them, and weights, by which both are averaged.
      task: regression compares the mean absolute error, the others the accuracy, which of a multi-label model is the
        mean over its labels.
      mode: How the model was quantized.
      max_drop: Most the quantized model may be worse: of accuracy in points of 1; of the mean absolute error as a
        share of the error of always predicting the median label, so that it has no unit either.

    Returns:
      The comparison; not blessed where the quantized model is too much worse, answers with numbers that are not
      finite, or is not quantized throughout.
    """
    float_predictions, predictions, labels, weights = _run([float_model, quantized], test)
    metric = _ERROR if task == "regression" else "accuracy"
    value, float_value = (_metric(task, found, labels, weights) for found in (predictions, float_predictions))
    drop = (value - float_value) / _naive_error(labels, weights) if task == "regression" else float_value - value
    reasons = _reasons(drop, max_drop, metric, predictions, quantized.float_ops())
    return QuantizationRecord(
        mode=mode,
        metric=metric,
        value=value,
        float_value=float_value,
        drop=drop,
        max_drop=max_drop,
        agreement=_agreement(task, predictions, float_predictions),
        bytes=quantized.size,
        float_bytes=float_model.size,
        examples=len(test),
        weighted=weights is not None,
        blessed=not reasons,
        reasons=reasons,
    )


def _run(models: list[TFLite], test: AnySplit) -> list[Any]:
    """The answers of each model, the labels, and the weights, or None where all weigh 1."""
    parts = []
    for part in test.parts():
        features = {name: column.numpy() for name, column in part.features.items()}
        parts.append((*(model.predict(features) for model in models), part.labels, part.weights))
    *found, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    return [*found, weights if weights.size else None]


def _classes(task: str, predictions: NDArray[Any]) -> NDArray[Any]:
    """What the model says, in the shape of the labels."""
    if task == "multiclass":
        return np.argmax(predictions, axis=1)
    return (predictions if task == "multilabel" else predictions[:, 0]) > 0.5


def _metric(task: str, predictions: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any] | None) -> float:
    if task == "regression":
        return float(np.average(np.abs(predictions[:, 0] - labels), weights=weights))
    right = _classes(task, predictions) == labels
    return float(np.average(right.reshape(len(right), -1).mean(axis=1), weights=weights))


def _naive_error(labels: NDArray[Any], weights: NDArray[Any] | None) -> float:
    """The mean absolute error of always predicting the (weighted) median."""
    order, weights = np.argsort(labels), np.ones(len(labels)) if weights is None else weights
    half_reached = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(np.average(np.abs(labels - labels[order][half_reached]), weights=weights)) or 1.0


def _agreement(task: str, predictions: NDArray[Any], float_predictions: NDArray[Any]) -> float | None:
    if task == "regression":
        return None
    return float(np.mean(_classes(task, predictions) == _classes(task, float_predictions)))


def _reasons(drop: float, max_drop: float, metric: str, predictions: NDArray[Any], float_ops: list[str]) -> list[str]:
    reasons = []
    if not np.isfinite(predictions).all():
        reasons.append("some predictions of the quantized model are not finite")
    if not drop <= max_drop:
        unit = " of what always predicting the median costs" if metric == _ERROR else ""
        reasons.append(f"{metric} is worse than the float model's by {drop:.4f}{unit}, at most {max_drop:g} is allowed")
    if float_ops:
        reasons.append(f"{len(float_ops)} operations stay float: {', '.join(sorted(set(float_ops)))}")
    return reasons
