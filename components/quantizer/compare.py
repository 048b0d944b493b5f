"""Float against quantized on the same examples: how much worse, overall and slice by slice. Decides nothing."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.dataset import AnySplit
from components.quantizer.answers import Answers
from components.quantizer.interval import paired_interval
from components.quantizer.slices import Slice, by_label
from lineage.records import SliceDrop

ERROR = "mean_absolute_error"


@dataclasses.dataclass(frozen=True)
class Truth:
    """What is right about a split: labels `[n]` or `[n, k]`, weights `[n]` or None where all weigh 1, and slices."""

    task: str
    labels: NDArray[Any]
    weights: NDArray[Any] | None
    slices: Sequence[Slice]

    @classmethod
    def of(cls, test: AnySplit, *, task: str, label: str, slices: Sequence[Slice] = ()) -> "Truth":
        """Reads the split once; `slices` are completed by those of the labels, by the name `label`."""
        parts = [(part.labels, part.weights) for part in test.parts()]
        labels, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
        named = {part.name: part for part in (*slices, *by_label(task, label, labels))}
        return cls(task, labels, weights if weights.size else None, [*named.values()])

    @property
    def metric(self) -> str:
        """What `scores` are the mean of."""
        return ERROR if self.task == "regression" else "accuracy"

    def scores(self, said: NDArray[Any]) -> NDArray[Any]:
        """`[n, k]`: 1 for right, 0 for wrong, as the Evaluator's accuracies have it; of a regression the error."""
        scores = np.abs(said - self.labels) if self.task == "regression" else np.asarray(said == self.labels, float)
        return scores.reshape(len(self.labels), -1)

    def naive_error(self) -> float:
        """The mean absolute error of always predicting the (weighted) median label of a regression."""
        order = np.argsort(self.labels)
        weights = np.ones(len(self.labels)) if self.weights is None else self.weights
        half_reached = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
        return float(np.average(np.abs(self.labels - self.labels[order][half_reached]), weights=weights)) or 1.0


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Both models on a split; `drop` and `slices` as QuantizationRecord has them, with 95 % intervals.

    `constant` is what the quantized model says about each and every example, where the float model does not.
    """

    metric: str
    value: float
    float_value: float
    drop: float
    drop_interval: tuple[float, float]
    agreement: float | None
    slices: list[SliceDrop]
    finite: bool
    constant: list[float] | None


def compare(truth: Truth, float_model: Answers, quantized: Answers) -> Comparison:
    """Compares the answers of the two models."""
    scores, float_scores = truth.scores(quantized.said), truth.scores(float_model.said)
    scale = 1 / truth.naive_error() if truth.task == "regression" else -1.0
    everything = _drop(truth, Slice("", np.arange(len(truth.labels))), scores, float_scores, scale)
    return Comparison(
        metric=truth.metric,
        value=everything.value,
        float_value=everything.float_value,
        drop=everything.drop,
        drop_interval=everything.interval,
        agreement=None if truth.task == "regression" else float(np.mean(quantized.said == float_model.said)),
        slices=[
            _drop(truth, part, scores, float_scores, scale) for part in truth.slices if _counts(truth.weights, part)
        ],
        finite=quantized.finite,
        constant=quantized.constant if float_model.constant is None else None,
    )


def _counts(weights: NDArray[Any] | None, part: Slice) -> bool:
    return weights is None or bool(weights[part.rows].any())


def _drop(truth: Truth, part: Slice, scores: NDArray[Any], float_scores: NDArray[Any], scale: float) -> SliceDrop:
    weights = None if truth.weights is None else truth.weights[part.rows]
    columns = slice(None) if part.column is None else [part.column]
    value, float_value = (found[part.rows][:, columns].mean(axis=1) for found in (scores, float_scores))
    differences = scale * (value - float_value)
    return SliceDrop(
        name=part.name,
        examples=len(part.rows),
        value=float(np.average(value, weights=weights)),
        float_value=float(np.average(float_value, weights=weights)),
        drop=float(np.average(differences, weights=weights)),
        interval=paired_interval(differences, weights),
    )
