"""What a model says about a split, kept without its predictions: of 32,768 classes these are 128 kB an example."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.dataset import AnySplit
from components.quantizer.interpreter import TFLite


@dataclasses.dataclass(frozen=True)
class Answers:
    """About all rows of a split; `said` is of the shape of the labels.

    Of classes it has their numbers, `[n]`; of one label, or several, whether it is said to be there, `[n]` or `[n, k]`;
    of a regression the number itself, `[n]`. `finite` is whether all predictions are, and `constant` is the one that
    they all are, None where they differ.
    """

    said: NDArray[Any]
    finite: bool
    constant: list[float] | None

    @classmethod
    def of(cls, task: str, predictions: Iterable[NDArray[Any]]) -> "Answers":
        """Takes predictions `[rows, k]`, a batch at a time; there has to be a row."""
        said, finite, first, same = [], True, None, True
        for batch in predictions:
            first = batch[0] if first is None else first
            said.append(_said(task, batch))
            finite = finite and bool(np.isfinite(batch).all())
            same = same and bool((batch == first).all())
        assert first is not None
        return cls(np.concatenate(said), finite, [float(number) for number in first] if same else None)


def ask(model: TFLite, test: AnySplit, task: str) -> Answers:
    """The model's answers about all rows of a split."""
    return Answers.of(task, _predictions(model, test))


def _predictions(model: TFLite, test: AnySplit) -> Iterator[NDArray[Any]]:
    for part in test.parts():
        yield from model.batches({name: column.numpy() for name, column in part.features.items()})


def _said(task: str, predictions: NDArray[Any]) -> NDArray[Any]:
    if task == "multiclass":
        return np.argmax(predictions, axis=1)
    if task == "multilabel":
        return predictions > 0.5
    return predictions[:, 0] if task == "regression" else predictions[:, 0] > 0.5
