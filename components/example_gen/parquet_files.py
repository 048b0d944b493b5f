"""Reads Parquet files: columns from their footer, batches, and a sentence for what an example cannot hold.

One of the two readers behind `sources`.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet

from components.example_gen.columns import WIDTH, Columns, ColumnType, is_list, to_features
from lineage.outcome import InputError

BATCH_ROWS = 8192


def header(path: str) -> dict[str, ColumnType]:
    """The columns of the file and the types that hold their values."""
    with _open(path) as file:
        return {field.name: _column_type(path, field) for field in file.schema_arrow}


def column_names(path: str) -> list[str]:
    """The columns of the file."""
    with _open(path) as file:
        return [*file.schema_arrow.names]


def has_rows(path: str) -> bool:
    """Whether the file holds a row."""
    with _open(path) as file:
        return bool(file.metadata.num_rows)


def place(path: str, row: int) -> str:
    """Where a row is, for a message: the file and the row's number, from 1; rows count from 0."""
    return f"{path}, row {row + 1}"


def settle(path: str, columns: Columns, fixed: Columns) -> tuple[dict[str, ColumnType], int]:
    """Reads the whole file; returns the columns, widened where its types ask for it, and the number of rows.

    Columns in `fixed` are not widened: a column of a wider type is an InputError, and so is a value that does not fit.
    """
    types = dict(columns)
    for name, kind in header(path).items():
        if name in fixed and WIDTH[kind] > WIDTH[fixed[name]]:
            raise InputError(
                f"{path}: column {name!r} holds {kind.value}, expected {fixed[name].value} as the schema says. "
                "Correct the type in the schema, or write the column with that type."
            )
        types[name] = max(columns[name], kind, key=WIDTH.__getitem__)
    return types, sum(batch.num_rows for batch in batches(path, types))


def batches(path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    """The rows as features (see `to_features`), in the order of the file."""
    with _open(path) as file:
        for batch in file.iter_batches(BATCH_ROWS, columns=[*columns]):
            try:
                yield to_features(batch, columns)
            except (InputError, pa.ArrowInvalid) as error:
                raise InputError(f"{path}: {error}") from error


def _open(path: str) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path} is not a Parquet file ({error}). Is `data.format` the format of the files?"
        ) from error


def _column_type(path: str, field: pa.Field) -> ColumnType:
    kind = field.type.value_type if is_list(field.type) else field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_nested(kind):
        raise InputError(
            f"{path}: column {field.name!r} has the type {field.type}; a tf.Example holds numbers, strings and "
            "lists of them. Write its fields as columns of their own, or leave it out."
        )
    if pa.types.is_null(kind):
        return ColumnType.EMPTY
    if pa.types.is_integer(kind):
        return ColumnType.INT
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return ColumnType.FLOAT
    return ColumnType.STRING
