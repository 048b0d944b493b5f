"""The slices on which the quantized model is compared: of `evaluator.slices`, as TFMA has them, and of the labels."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tfx.types.artifact import Artifact

from components.dataset import FeatureSpec, records

_BATCH = 1024


@dataclasses.dataclass(frozen=True)
class Slice:
    """Some rows by number; where `column` is given, only that label of them counts."""

    name: str
    rows: NDArray[np.int64]
    column: int | None = None


def by_columns(examples: list[Artifact], split: str, slices: Sequence[str], spec: FeatureSpec) -> list[Slice]:
    """A slice for each value of raw columns, and for each combination where a comma joins several.

    As in TFMA an example without a value is in none of them, and one with several values in as many.

    Args:
      examples: Raw Examples artifacts.
      split: Whose rows.
      slices: Columns, such as `payment_type` or `payment_type,company`.
      spec: The raw features.
    """
    columns = {name: tf.io.VarLenFeature(spec[name].dtype) for names in slices for name in names.split(",")}
    found: dict[str, list[int]] = {}
    for number, row in enumerate(_rows(examples, split, columns) if columns else ()):
        for names in slices:
            for values in itertools.product(*(row[name] for name in names.split(","))):
                named = ", ".join(f"{n}:{v}" for n, v in zip(names.split(","), values, strict=True))
                found.setdefault(named, []).append(number)
    return [Slice(name, np.array(rows)) for name, rows in sorted(found.items())]


def by_label(task: str, label: str, labels: NDArray[Any]) -> list[Slice]:
    """A slice for each class: the examples of it; of several labels, those that have it. None of a regression."""
    if task == "regression":
        return []
    if task == "multilabel":
        have = [np.flatnonzero(labels[:, column]) for column in range(labels.shape[1])]
        return [Slice(f"{label}:{column}", rows, column) for column, rows in enumerate(have) if len(rows)]
    return [Slice(f"{label}:{value}", np.flatnonzero(labels == value)) for value in np.unique(labels)]


def _rows(
    examples: list[Artifact], split: str, columns: dict[str, tf.io.VarLenFeature]
) -> Iterator[dict[str, list[Any]]]:
    for batch in records(examples, split).batch(_BATCH):
        parsed = tf.io.parse_example(batch, columns)
        values = [[*map(_text, tf.RaggedTensor.from_sparse(parsed[name]).to_list())] for name in columns]
        for row in zip(*values, strict=True):
            yield dict(zip(columns, row, strict=True))


def _text(values: list[Any]) -> list[str]:
    """Each value once, as the Evaluator's slices are named."""
    return [*dict.fromkeys(value.decode() if isinstance(value, bytes) else str(value) for value in values)]
