"""Claims about which examples of the train split stand for all of it."""

import numpy as np
import tensorflow as tf

from components.dataset import Split
from components.quantizer.representative import representative, stratified


def test_every_class_has_its_share_and_the_rarest_is_there() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [700, 299, 1]))
    rows = stratified(labels, 100, seed=1)
    assert len(set(rows)) == 100
    counts = np.bincount(labels[rows])
    assert counts[2] == 1
    assert abs(counts[0] - 70) <= 1 and abs(counts[1] - 30) <= 1


def test_seed_says_which_rows_and_the_same_one_the_same() -> None:
    labels = np.arange(500) % 4
    one, same, other = (stratified(labels, 40, seed) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_labels_of_a_regression_are_spread_over_their_range() -> None:
    labels = np.random.default_rng(0).exponential(size=1000)
    rows = stratified(labels, 10, seed=0)
    ranks = np.sort(np.argsort(np.argsort(labels))[rows])
    assert (np.diff(ranks) == 100).all(), "one at every tenth of the labels in their order"


def test_combinations_of_several_labels_are_all_there() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (400, 3))
    rows = stratified(labels, 16, seed=0)
    assert len(np.unique(labels[rows], axis=0)) == 8


def test_smaller_split_is_taken_whole() -> None:
    assert stratified(np.array([0, 0, 1]), 200, seed=0).tolist() == [0, 1, 2]


def test_examples_come_one_by_one_as_the_model_takes_them() -> None:
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    split = Split("train", {"x": tf.constant(x)}, tf.constant([0, 0, 0, 1, 1, 1]))
    shown = [example["x"] for example in representative(split, 4, seed=0)()]
    assert [row.shape for row in shown] == [(1, 2)] * 4
    assert {tuple(row[0]) for row in shown} <= {tuple(row) for row in x}
