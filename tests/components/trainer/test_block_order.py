"""Claims about the order of examples on disk: a permutation in each epoch that needs few blocks at a time."""

import numpy as np
import pytest
import tensorflow as tf

from components.dataset import Blocks
from components.trainer.order import Order


def epoch_of(order: Order, epoch: int) -> list[int]:
    """Row numbers of all steps of an epoch, replica by replica, those that count."""
    found = []
    for step in range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch):
        for replica in range(order.replicas):
            numbers, count = order.rows(tf.constant(step, tf.int64), tf.constant(replica, tf.int64))
            found += numbers.numpy()[: int(count)].tolist()
    return found


def orders() -> list[Order]:
    """Of any sizes: fewer rows than a block, a last block and a last window of any length, one row a block."""
    random = np.random.default_rng(0)

    def upto(most: int) -> int:
        return int(random.integers(1, most))

    return [Order(upto(300), upto(64), upto(4), upto(9) - 5, Blocks(upto(40), upto(6))) for _ in range(40)]


@pytest.mark.parametrize("order", orders(), ids=str)
def test_every_epoch_has_every_row_once_and_a_window_needs_few_blocks(order: Order) -> None:
    rows, blocks_of_window = order.blocks
    window = max(1, rows * blocks_of_window // order.batch_size) * order.batch_size  # rows: whole steps
    for epoch in (0, 3):
        numbers = epoch_of(order, epoch)
        assert sorted(numbers) == list(range(order.examples))
        for first in range(0, order.examples, window):
            blocks = {number // rows for number in numbers[first : first + window]}
            assert len(blocks) <= -(-window // rows) + 2, "one may be begun, one ended, and one is short"


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    blocks = Blocks(5, 4)
    found = [epoch_of(Order(103, 16, 1, seed, blocks), epoch) for seed in (0, 1, -1) for epoch in (0, 1)]
    assert len(set(map(tuple, found))) == 6


def test_rows_of_a_window_come_from_anywhere_and_neighbours_are_parted() -> None:
    """A thousand blocks of ten rows, windows of fifty: a step of 100 rows has the mean row number of all, about."""
    order = Order(10_000, 100, 1, 3, Blocks(10, 50))
    numbers = np.array(epoch_of(order, 0))
    means = numbers.reshape(100, 100).mean(axis=1)
    # Fifty numbers drawn without replacement from 0 ... 9,999: a standard deviation of 2887 / sqrt(50) = 408.
    assert np.abs(means - 5000).max() < 5 * 408
    assert np.mean(np.abs(np.diff(numbers)) == 1) < 0.01  # of a row's 499 companions in its window two are neighbours


def test_without_a_seed_rows_keep_their_order() -> None:
    assert epoch_of(Order(103, 16, 1, None, Blocks(5, 4)), 1) == list(range(103))
