"""Which split a row belongs to, by a hash of what is in it.

The hash is the same on every machine and whatever the file, batch or order of columns a row comes with, so identical
rows are always in one split, and a row stays in its split as data is added.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pandas.util import hash_array

Hashes = npt.NDArray[np.uint64]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def assign_splits(batch: pa.RecordBatch, splits: Mapping[str, int]) -> npt.NDArray[np.intp]:
    """The index into `splits` of each row; `splits` maps a name to its share in hash buckets.

    Args:
      batch: features, as `columns.to_features` makes them.
      splits: at least one split; shares are positive and only their ratios count.

    Returns:
      One index a row, int64.
    """
    upper = np.cumsum([*splits.values()]).astype(np.uint64)
    return np.searchsorted(upper, row_hashes(batch) % upper[-1], side="right")


def row_hashes(batch: pa.RecordBatch) -> Hashes:
    """One uint64 a row. Absent features count for nothing, so a column that is empty everywhere changes no hash."""
    total = np.zeros(batch.num_rows, np.uint64)
    for name in batch.schema.names:
        seed = hash_array(np.array([name], dtype=object))[0]
        total += _column_hashes(batch[name], seed)
    return _mixed(total)


def _column_hashes(lists: pa.LargeListArray, seed: np.uint64) -> Hashes:
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum(lengths)
    position = np.arange(lengths.sum(), dtype=np.uint64) - np.repeat(ends - lengths, lengths).astype(np.uint64)
    values = _mixed(_value_hashes(lists.flatten()) ^ _mixed(position + seed))
    # The sum over each list, as a difference of running sums: uint64 wraps round, so the difference is exact.
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values)])
    return running[ends] - running[ends - lengths]


def _value_hashes(values: pa.Array) -> Hashes:
    if pa.types.is_binary(values.type):
        distinct = values.dictionary_encode()
        hashes = hash_array(distinct.dictionary.to_numpy(zero_copy_only=False), categorize=False)
        return hashes[distinct.indices.to_numpy()]
    # In float64 a column of integers keeps its hashes when a later file turns it into one of floats.
    return hash_array(values.to_numpy().astype(np.float64))


def _mixed(hashes: Hashes) -> Hashes:
    hashes = (hashes ^ (hashes >> _SHIFT)) * _MIX
    return hashes ^ (hashes >> _SHIFT)
