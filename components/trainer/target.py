"""What the model is to learn, and the sentence for a model whose outputs, or labels, are not of that kind."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from components.dataset import Split
from lineage.outcome import InputError

_TAKES = {
    "multiclass": "one label a row, a class from 0 on, and an output for each class",
    "binary": "one label a row, 0 or 1, and one output, the probability of 1",
    "multilabel": "k labels a row, each 0 or 1 (k of 2 or more), and as many outputs, the probability of each",
    "regression": "one label a row and one output",
}


@dataclasses.dataclass(frozen=True)
class Target:
    """What the model is to learn.

    Args:
      task: multiclass, binary, multilabel or regression.
      labels: Their spec: `[None]`, or `[None, k]` where a row has k.
      least: The least label there is.
      greatest: The greatest.
      weighted: Whether the rows have weights.
    """

    task: str
    labels: tf.TensorSpec
    least: float
    greatest: float
    weighted: bool

    @property
    def size(self) -> int:
        """Labels of a row."""
        return int(self.labels.shape[1:].num_elements())

    def check_outputs(self, outputs: tf.TensorShape) -> None:
        """Raises InputError, with both shapes, where outputs `[batch, ...]` do not fit the labels and the task."""
        units = outputs[-1] if outputs.rank == 2 else 0
        if self.task == "multiclass":
            fits = units >= 2 and self.size == 1
        elif self.task == "multilabel":
            fits = units == self.size >= 2
        else:
            fits = units == self.size == 1
        if not fits:
            raise self._misfit(outputs)
        last = {"multiclass": units - 1, "regression": self.greatest}.get(self.task, 1)
        if self.greatest > last or (self.least < 0 and self.task != "regression"):
            wrong = self.greatest if self.greatest > last else self.least
            raise self._misfit(
                outputs, f": label {wrong:g}, but the model has {units} output{'s' if units > 1 else ''}"
            )

    def _misfit(self, outputs: tf.TensorShape, why: str = "") -> InputError:
        shown, labels = (_shape(shape) for shape in (outputs, self.labels.shape))
        return InputError(
            f"The model's outputs do not fit the label: they are {shown}, the labels {labels}{why}. Task {self.task} "
            f"takes {_TAKES[self.task]}. Correct the last layer of build_model, the label, or the task."
        )


def target_of(task: str, splits: Sequence[Split]) -> Target:
    """The target that the labels of the splits are.

    Raises:
      InputError: the labels are text, or not the whole numbers that classes are.
    """
    labels = [split.labels for split in splits]
    if labels[0].dtype == tf.string:
        raise InputError(f"The label holds text, expected numbers: task {task} takes {_TAKES[task]}.")
    if task != "regression" and any(bool(tf.reduce_any(tf.floor(some) != some)) for some in _floats(labels)):
        raise InputError(f"The label holds numbers that are not whole; task {task} takes {_TAKES[task]}.")
    return Target(
        task=task,
        labels=tf.TensorSpec([None, *labels[0].shape[1:]], labels[0].dtype),
        least=min(float(tf.reduce_min(some)) for some in labels),
        greatest=max(float(tf.reduce_max(some)) for some in labels),
        weighted=any(not isinstance(split.weights, tuple) for split in splits),
    )


def _floats(labels: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    return [some for some in labels if some.dtype.is_floating]


def _shape(shape: tf.TensorShape) -> str:
    return f"[{', '.join(['batch', *map(str, shape[1:])])}]"
