"""Names of the metrics: which a task has, how a bound may name them, and which bounds name none. Knows no TFMA."""

import re
from collections.abc import Iterable, Sequence

from lineage.outcome import InputError

TASK_METRICS = {
    "multiclass": ["SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"],
    "binary": ["BinaryAccuracy", "AUC", "Precision", "Recall", "BinaryCrossentropy"],
    # Over all labels of all rows together, but for AUC, which is the mean over the labels: where some labels are rare
    # and some frequent, a model that only knows how frequent each is would have a high AUC over all together.
    "multilabel": ["BinaryAccuracy", "AUC", "Precision", "Recall", "BinaryCrossentropy"],
    "regression": ["MeanAbsoluteError", "MeanSquaredError"],
}
MEAN_OVER_LABELS = ["AUC"]
OF_EACH_LABEL = ["BinaryAccuracy", "AUC", "Precision", "Recall"]
# What the report's confusion matrix is made of.
CONFUSION_COUNTS = {
    "multiclass": ["MultiClassConfusionMatrixAtThresholds"],
    "binary": ["TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"],
    "multilabel": [],
    "regression": [],
}


def class_names(task: str, metrics: Sequence[str]) -> list[str]:
    """Class names of all that is computed: the number of examples, the task's metrics, `metrics`, the counts."""
    return ["ExampleCount", *dict.fromkeys([*TASK_METRICS[task], *metrics]), *CONFUSION_COUNTS[task]]


def by_name(names: Iterable[str]) -> dict[str, str]:
    """Class names by each name that a bound may use for them: the class name and TFMA's snake_case."""
    return {alias: name for name in names for alias in (name, snake_case(name))}


def check_bounds(task: str, metrics: Sequence[str], bounded: Iterable[str]) -> None:
    """Raises InputError where a bound names no metric of the task and none of `metrics`; the message lists them.

    Example:
      check_bounds("binary", ["F1Score"], ["auc", "f1_score"])
    """
    names = class_names(task, metrics)
    unknown = [name for name in bounded if name not in by_name(names)]
    if unknown:
        raise InputError(
            f"evaluator.thresholds: {', '.join(unknown)} {'are' if len(unknown) > 1 else 'is'} not among the metrics "
            f"{', '.join(map(snake_case, names[1:]))}. Name one of these, or add it to evaluator.metrics."
        )


def snake_case(name: str) -> str:
    """`SparseCategoricalAccuracy` to `sparse_categorical_accuracy`, `AUC` to `auc`: TFMA's names of results."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
