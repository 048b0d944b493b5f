"""Float against quantized on the same examples, and the decision whether the quantized model is good enough."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.dataset import Split
from components.quantizer.interpreter import TFLite
from lineage.records import QuantizationRecord

_ERROR = "mean_absolute_error"


def compare(
    float_model: TFLite, quantized: TFLite, test: Split, *, task: str, mode: str, max_drop: float
) -> QuantizationRecord:
    """Runs both models on the whole split.

    Args:
      float_model: The float32 TFLite model.
      quantized: The quantized TFLite model.
      test: Labels and features, as the models take them.
      task: multiclass and binary compare accuracy, regression the mean absolute error.
      mode: How the model was quantized.
      max_drop: Most the quantized model may be worse: of accuracy in points of 1; of the mean absolute error as a
        share of the error of always predicting the median label, so that it has no unit either.

    Returns:
      The comparison; not blessed where the quantized model is too much worse, answers with numbers that are not
      finite, or is not quantized throughout.
    """
    features = {name: column.numpy() for name, column in test.features.items()}
    labels = test.labels.numpy()
    float_predictions, predictions = float_model.predict(features), quantized.predict(features)
    metric = _ERROR if task == "regression" else "accuracy"
    value, float_value = (_metric(task, found, labels) for found in (predictions, float_predictions))
    drop = (value - float_value) / _naive_error(labels) if task == "regression" else float_value - value
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
        blessed=not reasons,
        reasons=reasons,
    )


def _classes(task: str, predictions: NDArray[Any]) -> NDArray[Any]:
    return np.argmax(predictions, axis=1) if task == "multiclass" else (predictions[:, 0] > 0.5).astype(np.int64)


def _metric(task: str, predictions: NDArray[Any], labels: NDArray[Any]) -> float:
    if task == "regression":
        return float(np.mean(np.abs(predictions[:, 0] - labels)))
    return float(np.mean(_classes(task, predictions) == labels))


def _naive_error(labels: NDArray[Any]) -> float:
    return float(np.mean(np.abs(labels - np.median(labels)))) or 1.0


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
