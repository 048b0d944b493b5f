"""From a task, metric names and bounds to TFMA's EvalConfig."""

import dataclasses
from collections.abc import Mapping, Sequence

import tensorflow_model_analysis as tfma

from components.evaluator.metrics import (
    CONFUSION_COUNTS,
    MEAN_OVER_LABELS,
    OF_EACH_LABEL,
    by_name,
    check_bounds,
    class_names,
)
from components.signatures import SERVE_EXAMPLES

_COUNT = "ExampleCount"


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Bounds of one metric; the changes are against the baseline model."""

    min: float | None = None
    max: float | None = None
    min_change: float | None = None
    max_change: float | None = None


def eval_config(
    task: str,
    label: str,
    *,
    slices: Sequence[str],
    metrics: Sequence[str],
    bounds: Mapping[str, Bounds],
    weight: str | None = None,
) -> tfma.EvalConfig:
    """TFMA's configuration.

    Args:
      task: multiclass, binary, multilabel or regression.
      label: The label column.
      slices: Raw feature columns; a comma joins several into a cross.
      metrics: Class names of metrics besides the task's own.
      bounds: By metric, in class or snake_case name; every bounded metric is computed.
      weight: The column that examples are weighted by; what is counted, is not.

    Returns:
      The configuration; that of a multi-label model is to be completed by `with_labels`.

    Raises:
      InputError: a bounded metric is not among the metrics.
    """
    check_bounds(task, metrics, bounds)
    names = class_names(task, metrics)
    bounded = {by_name(names)[name]: bound for name, bound in bounds.items()}
    if bounded:  # TFX blesses only what it could check, which on a first run bounds on changes are not
        bounded.setdefault(_COUNT, Bounds(min=1))
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                label_key=label,
                example_weight_key=weight,
                signature_name=SERVE_EXAMPLES,
                model_type=tfma.TF_GENERIC,
            ),
        ],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=names.split(",")) for names in slices)],
        metrics_specs=_metrics_specs(task, names, bounded),
    )


def with_labels(config: tfma.EvalConfig, labels: int) -> tfma.EvalConfig:
    """The configuration with the numbers of the labels in what asks for each of them, or for the mean over them."""
    completed = tfma.EvalConfig()
    completed.CopyFrom(config)
    for spec in completed.metrics_specs:
        if spec.HasField("aggregate"):
            spec.aggregate.class_weights.update(dict.fromkeys(range(labels), 1.0))
        if spec.HasField("binarize"):
            spec.binarize.class_ids.values.extend(range(labels))
    return completed


def _metrics_specs(task: str, names: Sequence[str], bounded: Mapping[str, Bounds]) -> list[tfma.MetricsSpec]:
    def spec(names: Sequence[str], **options: object) -> tfma.MetricsSpec:
        return tfma.MetricsSpec(metrics=[_metric(name, bounded.get(name)) for name in names], **options)

    unweighted = {"unweighted": True}
    counts = [_COUNT, *CONFUSION_COUNTS[task]]
    means = MEAN_OVER_LABELS if task == "multilabel" else []
    specs = [
        spec([name for name in names if name not in (*counts, *means)]),
        spec(counts, example_weights=unweighted),
    ]
    if task == "multilabel":
        each: dict[str, object] = {"class_ids": {}}
        specs += [
            spec(means, aggregate={"macro_average": True}),
            tfma.MetricsSpec(metrics=[_metric(name) for name in OF_EACH_LABEL], binarize=each),
            tfma.MetricsSpec(
                metrics=[_metric(name) for name in CONFUSION_COUNTS["binary"]],
                binarize=each,
                example_weights=unweighted,
            ),
        ]
    return specs


def _metric(name: str, bounds: Bounds | None = None) -> tfma.MetricConfig:
    options = '{"thresholds": [0.5]}' if name in CONFUSION_COUNTS["binary"] else ""
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
