"""Claims about the order of the data: a permutation each epoch, for any number of replicas, from any step on."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from components.dataset import Split
from components.trainer.order import Order, batches

ROWS, BATCH = 103, 16  # 7 steps, the last of 7 rows
STEPS = 7


def rows(order: Order, first: int = 0, steps: int = STEPS) -> list[list[int]]:
    """Row numbers of each step, over all replicas."""
    split = Split("train", {"row": tf.range(ROWS)}, tf.range(ROWS))
    data = batches(split, Order(ROWS, BATCH, 1, order.seed), tf.distribute.get_strategy(), first)
    return [next(data).rows.features["row"].numpy().tolist() for _ in range(steps)]


def flat(lists: list[list[int]]) -> list[int]:
    return [*itertools.chain.from_iterable(lists)]


def parts(order: Order, step: int) -> list[list[int]]:
    found = []
    for replica in range(order.replicas):
        numbers, count = order.rows(tf.constant(step, tf.int64), tf.constant(replica, tf.int64))
        found.append(numbers.numpy()[: int(count)].tolist())
    return found


def test_every_epoch_has_every_row_once_in_an_order_of_its_own() -> None:
    epochs = [flat(rows(Order(ROWS, BATCH, 1, 3), first=epoch * STEPS)) for epoch in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(ROWS))] * 3
    assert len({tuple(epoch) for epoch in [*epochs, list(range(ROWS))]}) == 4


def test_neighbours_are_not_kept_together() -> None:
    epoch = np.array(flat(rows(Order(ROWS, BATCH, 1, 3))))
    assert np.mean(np.abs(np.diff(epoch)) == 1) < 0.1  # 2/103 for a random permutation


def test_orders_follow_from_the_seed() -> None:
    assert rows(Order(ROWS, BATCH, 1, 3)) == rows(Order(ROWS, BATCH, 1, 3))
    assert rows(Order(ROWS, BATCH, 1, 3)) != rows(Order(ROWS, BATCH, 1, 4))


def test_without_a_seed_rows_keep_their_order() -> None:
    assert flat(rows(Order(ROWS, BATCH, 1, None))) == list(range(ROWS))


def test_from_any_step_on_come_the_batches_there_would_have_been() -> None:
    whole = rows(Order(ROWS, BATCH, 1, 3), steps=3 * STEPS)
    for first in (1, STEPS - 1, STEPS, 2 * STEPS + 3):
        assert rows(Order(ROWS, BATCH, 1, 3), first, 3 * STEPS - first) == whole[first:]


@pytest.mark.parametrize("replicas", [2, 3, 8])
def test_replicas_share_a_step_without_loss_or_repetition(replicas: int) -> None:
    order = Order(ROWS, BATCH, replicas, 3)
    for step, expected in enumerate(rows(order)):
        shared = parts(order, step)
        assert flat(shared) == expected
        assert max(map(len, shared)) - min(map(len, shared)) <= 1


def test_a_replica_without_rows_is_given_one_that_does_not_count() -> None:
    order = Order(17, 16, 3, 3)  # the last step has one row for three
    sizes = [order.rows(tf.constant(1, tf.int64), tf.constant(replica, tf.int64)) for replica in range(3)]
    assert [int(count) for _, count in sizes] == [0, 0, 1]
    assert [len(numbers) for numbers, _ in sizes] == [1, 1, 1]
