"""Reads CSV files: header, column types, batches, and for what cannot be read the file, the line and the reason.

One of the two readers behind `sources`. A cell is missing where it is empty, and only there.
"""

import csv
import itertools
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from components.example_gen import csv_lines
from components.example_gen.columns import WIDTH, Columns, ColumnType, to_features
from lineage.outcome import InputError

# A block is what is in memory at a time; a row has to fit into one.
BLOCK_BYTES = 4 << 20

# Rows that the first guess of the types is from; reading all of them proves the guess or widens it.
GUESS_ROWS = 1000

_OTHER_FORMAT = "Is `data.format` the format of the files?"

# Floats are read in double precision and then rounded, as every other reader of CSV does.
_READ_AS = {
    ColumnType.EMPTY: pa.null(),
    ColumnType.INT: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.STRING: pa.string(),
}


def header(path: str) -> dict[str, ColumnType]:
    """The columns of the file, with the types that its first rows suggest."""
    names = column_names(path)
    first = next(_texts(path, names), None)
    types = dict.fromkeys(names, ColumnType.EMPTY)
    return types if first is None else {name: _infer(first[name][:GUESS_ROWS], kind) for name, kind in types.items()}


def column_names(path: str) -> list[str]:
    """The cells of the header."""
    try:
        first = next(csv_lines.records(path), None)
    except (csv.Error, OSError) as error:
        raise InputError(f"{path}: cannot read a CSV header: {error}. {_OTHER_FORMAT}") from error
    if first is None:
        raise InputError(f"{path} is empty; expected a header line with the names of the columns, then rows.")
    line, names = first
    raw = csv_lines.not_utf8(names)
    if raw is not None:
        raise InputError(
            f"{path}, line {line}: the header is not UTF-8: {raw[:60]!r}. Save the file as UTF-8. {_OTHER_FORMAT}"
        )
    return names


def has_rows(path: str) -> bool:
    """Whether anything follows the header."""
    try:
        return len(list(itertools.islice(csv_lines.records(path), 2))) == 2
    except csv.Error as error:
        raise csv_lines.first_fault(path) or InputError(f"{path}: {error}.") from error


def place(path: str, row: int) -> str:
    """Where a row is, for a message: the file and the line; rows count from 0."""
    return f"{path}, line {csv_lines.line_of_row(path, row)}"


def settle(path: str, columns: Columns, fixed: Columns) -> tuple[dict[str, ColumnType], int]:
    """Reads the whole file; returns the columns, widened where its values ask for it, and the number of rows.

    Columns in `fixed` are not widened: a value that is not of their type is an InputError with file, line and value.
    """
    try:
        types, rows, last = dict(columns), 0, None
        for last in _read(path, columns):
            rows += last.num_rows
    except pa.ArrowInvalid:
        types, rows, last = _widen(path, columns, fixed)
    _refuse_open_quote(path, last)
    return types, rows


def batches(path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    """The rows as features (see `to_features`), in the order of the file."""
    for batch in _read(path, columns):
        yield to_features(batch, columns)


def _refuse_open_quote(path: str, last: pa.RecordBatch | None) -> None:
    """Arrow takes a quote that is never closed for a cell that ends with the file, with all lines between in it."""
    cell = None if last is None else last[column_names(path)[-1]][-1].as_py()
    fault = csv_lines.first_fault(path) if isinstance(cell, str) and "\n" in cell else None
    if fault is not None:
        raise fault


def _widen(path: str, columns: Columns, fixed: Columns) -> tuple[dict[str, ColumnType], int, pa.RecordBatch | None]:
    types, rows, batch = dict(columns), 0, None
    for batch in _texts(path, [*columns]):
        for name, kind in types.items():
            types[name] = _infer(batch[name], kind)
            if name in fixed and types[name] is not kind:
                raise _misfit(path, rows, name, batch[name], kind)
        rows += batch.num_rows
    return types, rows, batch


def _misfit(path: str, rows_before: int, name: str, values: pa.Array, kind: ColumnType) -> InputError:
    start, stop = 0, len(values)
    while stop - start > 1:
        middle = (start + stop) // 2
        start, stop = (middle, stop) if _fits(values[start:middle], kind) else (start, middle)
    return InputError(
        f"{place(path, rows_before + start)}: column {name!r} is {values[start].as_py()[:60]!r}, expected {kind.value} "
        "as the schema says. Correct the value (a missing one is an empty cell) or the type in the schema."
    )


def _infer(values: pa.Array, at_least: ColumnType) -> ColumnType:
    if values.null_count == len(values):
        return at_least
    wider = (kind for kind in ColumnType if kind is not ColumnType.EMPTY and WIDTH[kind] >= WIDTH[at_least])
    return next(kind for kind in wider if _fits(values, kind))


def _fits(values: pa.Array, kind: ColumnType) -> bool:
    try:
        # The CSV reader ignores blanks around a number, a cast does not.
        pc.utf8_trim(values, " \t").cast(_READ_AS[kind])
    except pa.ArrowInvalid:
        return False
    return True


def _texts(path: str, names: list[str]) -> Iterator[pa.RecordBatch]:
    """The cells as text; a file that Arrow cannot read even so is an InputError."""
    try:
        yield from _read(path, dict.fromkeys(names, ColumnType.STRING))
    except pa.ArrowInvalid as error:
        fault = csv_lines.first_fault(path)
        raise fault or InputError(f"{path} cannot be read as CSV: {error}.") from error


def _read(path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
    if not has_rows(path):
        return
    convert = pyarrow.csv.ConvertOptions(
        column_types={name: _READ_AS[kind] for name, kind in columns.items()},
        include_columns=[*columns],
        strings_can_be_null=True,
        null_values=[""],
    )
    read = pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with pyarrow.csv.open_csv(path, read, parse, convert) as reader:
        yield from reader
