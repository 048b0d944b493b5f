"""The representative examples: rows of the train split that show the converter the ranges of the activations."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.dataset import AnySplit

Representative = Callable[[], Iterator[dict[str, NDArray[Any]]]]


def representative(train: AnySplit, count: int, seed: int) -> Representative:
    """Yields `count` single examples, drawn by `stratified` from the labels of the train split."""
    labels = np.concatenate([part.labels.numpy() for part in train.parts()])
    rows = stratified(labels, count, seed)
    columns = {name: column.numpy() for name, column in train.take(rows).features.items()}

    def examples() -> Iterator[dict[str, NDArray[Any]]]:
        for row in range(len(rows)):
            yield {name: column[row : row + 1] for name, column in columns.items()}

    return examples


def stratified(labels: NDArray[Any], count: int, seed: int) -> NDArray[np.int64]:
    """Numbers of rows, none twice, in which every label has its share and each label is there at least once.

    One row of each label, then rows at even distances of all rows in the order of their labels. Where there are more
    labels than `count`, as in a regression, only the second, which is then spread evenly over their range.

    Args:
      labels: `[n]`, or `[n, k]` of several labels a row, of which each combination counts as one.
      count: How many; all rows where there are fewer.
      seed: Which rows of a label.

    Returns:
      `[min(count, n)]` int64, rising.
    """
    _, values = np.unique(labels, axis=0, return_inverse=True)
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_label = shuffled[np.argsort(values.reshape(-1)[shuffled], kind="stable")]
    _, firsts = np.unique(values.reshape(-1)[by_label], return_index=True)
    firsts = firsts if len(firsts) <= count else firsts[:0]
    others = np.delete(by_label, firsts)
    left = min(count - len(firsts), len(others))
    evenly = others[np.arange(left) * len(others) // max(left, 1)]
    return np.sort(np.concatenate([by_label[firsts], evenly]))
