"""What the model is to learn, and the sentence for a model whose outputs, or labels, are not of that kind."""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from components.dataset import AnySplit
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
            label = self.greatest if self.greatest > last else self.least
            beside = f", but the model has {units} outputs" if self.task == "multiclass" else " is among them"
            raise self._misfit(outputs, f": label {label:g}{beside}")

    def _misfit(self, outputs: tf.TensorShape, why: str = "") -> InputError:
        shown, labels = (_shape(shape) for shape in (outputs, self.labels.shape))
        return InputError(
            f"The model's outputs do not fit the label: they are {shown}, the labels {labels}{why}. Task {self.task} "
            f"takes {_TAKES[self.task]}. Correct the last layer of build_model, the label, or the task."
        )


def target_of(task: str, splits: Sequence[AnySplit]) -> Target:
    """The target that the labels of the splits are.

    Raises:
      InputError: the labels are text, or not the whole numbers that classes are.
    """
    facts = [split.facts for split in splits]
    labels = facts[0].labels
    assert labels is not None, "a split has rows"
    if labels.dtype == tf.string:
        raise InputError(f"The label holds text, expected numbers: task {task} takes {_TAKES[task]}.")
    if task != "regression" and not all(each.labels_are_whole for each in facts):
        raise InputError(f"The label holds numbers that are not whole; task {task} takes {_TAKES[task]}.")
    return Target(
        task=task,
        labels=labels,
        least=min(each.least_label for each in facts),
        greatest=max(each.greatest_label for each in facts),
        weighted=any(each.weighted for each in facts),
    )


def _shape(shape: tf.TensorShape) -> str:
    return f"[{', '.join(['batch', *map(str, shape[1:])])}]"
