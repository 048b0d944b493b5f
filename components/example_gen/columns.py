"""The types a column of a source can have, and the Arrow layout in which rows become tf.Examples.

Knows nothing of files: the readers bring Arrow arrays, the executor takes the batches made here.
"""

import enum
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from lineage.outcome import InputError


class ColumnType(enum.StrEnum):
    """Type of a column, narrowest first: each holds every value of the ones before it.

    EMPTY: no value at all. INT: int64. FLOAT: float32. STRING: UTF-8 bytes.
    """

    EMPTY = "empty"
    INT = "int64"
    FLOAT = "float32"
    STRING = "string"

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of one value of the feature."""
        return {"empty": pa.null(), "int64": pa.int64(), "float32": pa.float32(), "string": pa.binary()}[self.value]


Columns = Mapping[str, ColumnType]

WIDTH = {kind: width for width, kind in enumerate(ColumnType)}


def widest(one: Columns, other: Columns) -> dict[str, ColumnType]:
    """Column by column the wider type of two sources with the same columns; the order is that of `one`."""
    return {name: max(kind, other[name], key=WIDTH.__getitem__) for name, kind in one.items()}


def to_features(batch: pa.RecordBatch, columns: Columns) -> pa.RecordBatch:
    """Lays a batch out as tf.Example features.

    Args:
      batch: one row an example; columns of primitives, or of lists of primitives, that cast to `columns`.
      columns: the wanted columns, in the wanted order.

    Returns:
      A batch whose columns are large_list<int64 | float32 | binary>, null where the feature is absent. Columns of type
      EMPTY are left out: no example has that feature.

    Raises:
      InputError: a list has a null element, which a tf.Example cannot say.
      pyarrow.ArrowInvalid: a value does not fit its column's type.
    """
    kept = {name: kind for name, kind in columns.items() if kind is not ColumnType.EMPTY}
    return pa.RecordBatch.from_arrays([_feature(name, batch[name], kind) for name, kind in kept.items()], [*kept])


def join_columns(batch: pa.RecordBatch, names: Sequence[str], joined: str) -> pa.RecordBatch:
    """Puts one feature, `joined`, in the place of several, which have one number in each row; the last of the columns.

    Columns of different types become one of float32.
    """
    flat = [batch[name].flatten() for name in names]
    if len({values.type for values in flat}) > 1:
        flat = [values.cast(pa.float32(), safe=False) for values in flat]
    rows = np.stack([values.to_numpy() for values in flat], axis=1)
    offsets = pa.array(np.arange(0, rows.size + 1, len(names)))
    kept = [name for name in batch.schema.names if name not in names]
    lists = pa.LargeListArray.from_arrays(offsets, pa.array(rows.ravel(), flat[0].type))
    return pa.RecordBatch.from_arrays([*(batch[name] for name in kept), lists], [*kept, joined])


def is_list(kind: pa.DataType) -> bool:
    """Whether a column of this Arrow type is multi-valued."""
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _feature(name: str, values: pa.Array, kind: ColumnType) -> pa.LargeListArray:
    if is_list(values.type):
        lists = values.cast(pa.large_list(values.type.value_type))
        flat = lists.flatten()
        if flat.null_count:
            raise InputError(
                f"Column {name!r} has a list with a null element; a feature holds values only. "
                "Remove the element, or make the whole list null."
            )
        lengths = lists.value_lengths().fill_null(0)
    else:
        flat = values.drop_null()
        lengths = values.is_valid().cast(pa.int64())
    offsets = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False), dtype=np.int64)])
    return pa.LargeListArray.from_arrays(pa.array(offsets), _cast(flat, kind), mask=values.is_null())


def _cast(values: pa.Array, kind: ColumnType) -> pa.Array:
    if kind is ColumnType.STRING and not _is_bytes(values.type):
        return values.cast(pa.string()).cast(pa.binary())
    # Float64 to float32 rounds, and an int64 above 2**24 does too: that is what a float feature is.
    return values.cast(kind.arrow, safe=kind is not ColumnType.FLOAT)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
