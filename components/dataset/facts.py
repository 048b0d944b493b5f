"""What a look at every row of a split tells: what is wrong with its numbers, and of which kind its labels are."""

import collections
import dataclasses

import tensorflow as tf

from components.dataset.rows import Rows


@dataclasses.dataclass
class Facts:
    """What there is to know of all rows of a split.

    Attributes:
      not_finite: Values that are NaN or infinite, by column.
      labels: `[None]` or `[None, k]`, and their dtype.
      labels_are_whole: Whether they are whole numbers; False for text.
      least_label, greatest_label: The least and the greatest number among the labels.
      weighted: Whether there are weights.
      wrong_weights: Weights that are negative, NaN or infinite.
      greatest_weight: The greatest weight.
    """

    not_finite: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    labels: tf.TensorSpec | None = None
    labels_are_whole: bool = True
    least_label: float = float("inf")
    greatest_label: float = float("-inf")
    weighted: bool = False
    wrong_weights: int = 0
    greatest_weight: float = 0.0

    def add(self, rows: Rows) -> None:
        """Looks at some more rows."""
        for name, column in [*rows.features.items(), ("the label", rows.labels)]:
            if column.dtype.is_floating:
                self.not_finite[name] += int(tf.math.count_nonzero(~tf.math.is_finite(column)))
        self._add_labels(rows.labels)
        if rows.sample_weight is not None:
            self._add_weights(rows.sample_weight)

    def _add_labels(self, labels: tf.Tensor) -> None:
        self.labels = tf.TensorSpec([None, *labels.shape[1:]], labels.dtype)
        if labels.dtype == tf.string:
            self.labels_are_whole = False
            return
        self.labels_are_whole &= not labels.dtype.is_floating or bool(tf.reduce_all(tf.floor(labels) == labels))
        self.least_label = min(self.least_label, float(tf.reduce_min(labels)))
        self.greatest_label = max(self.greatest_label, float(tf.reduce_max(labels)))

    def _add_weights(self, weights: tf.Tensor) -> None:
        self.weighted = True
        are_right = tf.math.is_finite(weights) & (weights >= 0)
        self.wrong_weights += int(tf.math.count_nonzero(~are_right))
        self.greatest_weight = max(self.greatest_weight, float(tf.reduce_max(weights)))
