"""Splits by content: even, and the same whatever a row comes with."""

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.columns import ColumnType, to_features
from components.example_gen.content_hash import assign_splits, row_hashes

COLUMNS = {"i": ColumnType.INT, "s": ColumnType.STRING, "l": ColumnType.FLOAT}


def batch(rows: int) -> pa.RecordBatch:
    random = np.random.default_rng(7)
    return pa.RecordBatch.from_pydict(
        {
            "i": pa.array(np.arange(rows)),
            "s": pa.array([None if number % 5 == 0 else f"v{number % 11}" for number in range(rows)]),
            "l": pa.array([random.normal(size=number % 4).tolist() or None for number in range(rows)]),
        }
    )


def hashes(of: pa.RecordBatch, columns: dict[str, ColumnType] = COLUMNS) -> list[int]:
    return row_hashes(to_features(of, columns)).tolist()


def test_a_hash_does_not_depend_on_batches_or_on_the_order_of_columns() -> None:
    whole = batch(1000)
    assert hashes(whole) == hashes(whole.slice(0, 137)) + hashes(whole.slice(137))
    assert hashes(whole) == hashes(whole, dict(reversed(COLUMNS.items())))


def test_a_hash_is_the_same_on_every_machine() -> None:
    # Recorded once: another value would move the rows of every user to other splits.
    assert hashes(batch(3)) == [7330880519254334318, 14334197287793550010, 14808952194659858776]


def test_a_row_keeps_its_split_when_its_column_of_integers_becomes_one_of_floats() -> None:
    assert hashes(batch(500)) == hashes(batch(500), COLUMNS | {"i": ColumnType.FLOAT})


def test_the_order_in_a_list_and_the_column_of_a_value_count() -> None:
    lists = pa.RecordBatch.from_pydict(
        {"a": pa.array([[1, 2], [2, 1], None, [1]]), "b": pa.array([None, None, [1], None])}
    )
    found = hashes(lists, {"a": ColumnType.INT, "b": ColumnType.INT})
    assert len(set(found)) == 4


@pytest.mark.parametrize("shares", [{"train": 8, "eval": 1, "test": 1}, {"a": 1, "b": 2}, {"all": 1}])
def test_splits_have_the_sizes_of_their_shares(shares: dict[str, int]) -> None:
    rows = 20_000
    counts = np.bincount(assign_splits(to_features(batch(rows), COLUMNS), shares), minlength=len(shares))
    share = np.array([*shares.values()]) / sum(shares.values())
    # Five standard deviations of a binomial count.
    assert np.all(np.abs(counts - rows * share) <= 5 * np.sqrt(rows * share * (1 - share)))
