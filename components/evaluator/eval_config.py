"""From a task, metric names and bounds to TFMA's EvalConfig."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import tensorflow_model_analysis as tfma

from lineage.outcome import InputError

_METRICS = {
    "multiclass": ["SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"],
    "binary": ["BinaryAccuracy", "AUC", "Precision", "Recall", "BinaryCrossentropy"],
    "regression": ["MeanAbsoluteError", "MeanSquaredError"],
}
# What the report's confusion matrix is made of.
_COUNTS = {
    "multiclass": ["MultiClassConfusionMatrixAtThresholds"],
    "binary": ["TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"],
    "regression": [],
}


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Bounds of one metric; the changes are against the baseline model."""

    min: float | None = None
    max: float | None = None
    min_change: float | None = None
    max_change: float | None = None


def eval_config(
    task: str, label: str, *, slices: Sequence[str], metrics: Sequence[str], bounds: Mapping[str, Bounds]
) -> tfma.EvalConfig:
    """TFMA's configuration.

    Args:
      task: multiclass, binary or regression.
      label: The label column.
      slices: Raw feature columns; a comma joins several into a cross.
      metrics: Class names of metrics besides the task's own.
      bounds: By metric, in class or snake_case name; every bounded metric is computed.

    Raises:
      InputError: a bounded metric is not among the metrics.
    """
    names = ["ExampleCount", *dict.fromkeys([*_METRICS[task], *metrics]), *_COUNTS[task]]
    by_name = {alias: name for name in names for alias in (name, snake_case(name))}
    unknown = [name for name in bounds if name not in by_name]
    if unknown:
        raise InputError(
            f"evaluator.thresholds: {', '.join(unknown)} is not among the metrics "
            f"{', '.join(snake_case(name) for name in names[1:])}. Name one of these, or add it to evaluator.metrics."
        )
    bounded = {by_name[name]: bound for name, bound in bounds.items()}
    if bounded:  # TFX blesses only what it could check, which on a first run bounds on changes are not
        bounded.setdefault("ExampleCount", Bounds(min=1))
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(label_key=label, signature_name="serve_examples", model_type=tfma.TF_GENERIC),
        ],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=names.split(",")) for names in slices)],
        metrics_specs=[tfma.MetricsSpec(metrics=[_metric(name, bounded.get(name)) for name in names])],
    )


def snake_case(name: str) -> str:
    """`SparseCategoricalAccuracy` to `sparse_categorical_accuracy`, `AUC` to `auc`: TFMA's names of results."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _metric(name: str, bounds: Bounds | None) -> tfma.MetricConfig:
    options = '{"thresholds": [0.5]}' if name in _COUNTS["binary"] else ""
    if name == "MultiClassConfusionMatrixAtThresholds":
        options = '{"thresholds": [0.0]}'
    metric = tfma.MetricConfig(class_name=name, config=options)
    if bounds:  # on the whole split only: a slice of a few examples would break a bound by luck
        metric.per_slice_thresholds.add(slicing_specs=[tfma.SlicingSpec()], threshold=_threshold(bounds))
    return metric


def _threshold(bounds: Bounds) -> tfma.MetricThreshold:
    threshold = tfma.MetricThreshold()
    if bounds.min is not None:
        threshold.value_threshold.lower_bound.value = bounds.min
    if bounds.max is not None:
        threshold.value_threshold.upper_bound.value = bounds.max
    if bounds.min_change is not None:
        threshold.change_threshold.absolute.value = bounds.min_change
        threshold.change_threshold.direction = tfma.MetricDirection.HIGHER_IS_BETTER
    if bounds.max_change is not None:
        threshold.change_threshold.absolute.value = bounds.max_change
        threshold.change_threshold.direction = tfma.MetricDirection.LOWER_IS_BETTER
    return threshold
