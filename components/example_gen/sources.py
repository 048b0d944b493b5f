"""What the data is: files, columns, types and rows of a CSV or Parquet source, or the sentence that says what is wrong.

Needs pyarrow only (no TFX, TensorFlow or Beam), so that a config is checked at once.
"""

import dataclasses
import difflib
import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from components.example_gen import csv_files, parquet_files
from components.example_gen.columns import Columns, ColumnType, join_columns, widest
from lineage.outcome import InputError

DataFormat = Literal["csv", "parquet"]
JOINED_LABEL = "label"  # the feature that several label columns become


class Reader(Protocol):
    """What a format has to offer; a module does."""

    def header(self, path: str) -> dict[str, ColumnType]:
        """Columns and types as far as a look at the file tells."""

    def column_names(self, path: str) -> list[str]:
        """Columns, in the order of the file."""

    def has_rows(self, path: str) -> bool:
        """Whether the file has a row."""

    def place(self, path: str, row: int) -> str:
        """Where a row is, for a message: the file and its line or number; rows count from 0."""

    def settle(self, path: str, columns: Columns, fixed: Columns) -> tuple[dict[str, ColumnType], int]:
        """Reads all of the file: the columns with the types its values need, and how many rows it has."""

    def batches(self, path: str, columns: Columns) -> Iterator[pa.RecordBatch]:
        """The rows as features."""


READERS: dict[DataFormat, Reader] = {"csv": csv_files, "parquet": parquet_files}


@dataclasses.dataclass(frozen=True)
class Source:
    """Files that have been read through once: any of their rows becomes an example without an error.

    `joined` are the columns, if any, that become one feature, `JOINED_LABEL`.
    """

    data_format: DataFormat
    columns: dict[str, ColumnType]
    rows: int
    joined: tuple[str, ...] = ()


def check_source(
    patterns: Sequence[str], data_format: DataFormat, label: Sequence[str], weight: str | None = None
) -> dict[str, ColumnType]:
    """Checks what a look at the files tells, without reading them through.

    Args:
      patterns: globs, one a split where the data is split by folder; `**` matches any depth.
      data_format: "csv" (comma, double quotes, UTF-8, a header line; .gz is read too) or "parquet".
      label: the columns, mostly one, that are to be predicted.
      weight: the column that examples are weighted by.

    Returns:
      The columns and the types that the first rows of the first file suggest.

    Raises:
      InputError: no file matches, a file is empty or not of this format, files differ in their columns, a column has no
        name or a name twice, or there is no such label or weight.

    Example:
      check_source(["data/*.csv"], "csv", ["tips"])  # {"fare": ColumnType.FLOAT, "tips": ColumnType.FLOAT, ...}
    """
    files = [path for pattern in patterns for path in resolve_files(pattern)]
    columns = read_header(files, data_format)
    check_columns(columns, label, weight)
    return columns


def resolve_files(pattern: str) -> list[str]:
    """The files that a glob matches, sorted, hidden ones left out; raises InputError where there is none."""
    absolute = str(Path(pattern).absolute())
    # glob, unlike Path.glob, takes an absolute pattern.
    files = sorted(path for path in glob.glob(absolute, recursive=True) if Path(path).is_file())  # noqa: PTH207
    if not files:
        raise InputError(f"No file matches {absolute}. {_whats_there(absolute)}")
    return files


def read_header(files: Sequence[str], data_format: DataFormat) -> dict[str, ColumnType]:
    """Columns and types by a look at the first file, once all files are known to have the same columns."""
    reader = READERS[data_format]
    names = {path: _checked_names(path, reader.column_names(path)) for path in files}
    for path in files[1:]:
        _check_same_columns(files[0], names[files[0]], path, names[path])
    with_rows = next((path for path in files if reader.has_rows(path)), None)
    if with_rows is None:
        raise InputError(f"{files[0]} has columns but no row{', nor has any other file' if files[1:] else ''}.")
    types = reader.header(with_rows)
    return {name: types[name] for name in names[files[0]]}


def read_through(files: Sequence[str], data_format: DataFormat, fixed: Columns) -> Source:
    """Reads every row once and settles the type of each column over all files.

    Args:
      files: all files of the source, of all splits.
      data_format: "csv" or "parquet".
      fixed: types known beforehand, from a curated schema; columns of the schema that are not in the data are ignored.

    Raises:
      InputError: a row that cannot be read, or a value that is not of its fixed type; the message has the file, and for
        CSV the line.
    """
    columns = read_header(files, data_format)
    fixed = {name: kind for name, kind in fixed.items() if name in columns}
    columns, rows = columns | fixed, 0
    for path in files:
        settled, count = READERS[data_format].settle(path, columns, fixed)
        columns, rows = widest(columns, settled), rows + count
    return Source(data_format, columns, rows)


def batches(path: str, source: Source) -> Iterator[pa.RecordBatch]:
    """The rows of one file as features: columns of large_list<int64 | float32 | binary>, null where absent."""
    batches = READERS[source.data_format].batches(path, source.columns)
    return (join_columns(batch, source.joined, JOINED_LABEL) if source.joined else batch for batch in batches)


def check_columns(columns: Columns, label: Sequence[str], weight: str | None) -> None:
    """Raises InputError where a label or the weight is none of the columns, or a joined label would hide one."""
    for role, name in [*(("label", name) for name in label), ("weight", weight)]:
        if name is not None:
            check_column(role, name, [*columns])
    if len(label) > 1 and JOINED_LABEL in {*columns} - {*label}:
        raise InputError(
            f"The columns {', '.join(label)} become one feature {JOINED_LABEL!r}, the label; there is a column of that "
            "name besides. Rename it."
        )


def check_column(role: str, name: str, columns: Sequence[str]) -> None:
    """Raises InputError where a label or weight is none of the columns; the message lists them, nearest name first."""
    if name in columns:
        return
    nearest = difflib.get_close_matches(name, columns, n=len(columns), cutoff=0)
    raise InputError(
        f"The {role} {name!r} is not a column of the data. The columns are, nearest name first: {', '.join(nearest)}."
    )


def _checked_names(path: str, names: list[str]) -> list[str]:
    nameless = [str(number) for number, name in enumerate(names, 1) if not name.strip()]
    if nameless:
        raise InputError(f"{path}: no name for column {', '.join(nameless)} of {len(names)}; every column needs one.")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: more than one column is named {', '.join(map(repr, repeated))}; names are unique.")
    return names


def _check_same_columns(first: str, expected: list[str], path: str, names: list[str]) -> None:
    missing = [name for name in expected if name not in names]
    extra = [name for name in names if name not in expected]
    if missing or extra:
        parts = [
            f"{what} {', '.join(map(repr, some))}" for what, some in (("lacks", missing), ("has also", extra)) if some
        ]
        raise InputError(f"{path} {' and '.join(parts)}, compared with {first}; all files need the same columns.")


def _whats_there(pattern: str) -> str:
    if Path(pattern).is_dir():
        return f"It is a folder; its files are {pattern}/*."
    folder = Path(pattern).parent
    while not folder.is_dir():
        folder = folder.parent
    found = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in folder.iterdir())
    if not found:
        return f"{folder} is empty."
    return f"{folder} has: {', '.join(found[:10])}{f' and {len(found) - 10} more' if found[10:] else ''}."
