"""Finds the line of a CSV file that is wrong, by reading it slowly with Python's own reader.

Only for error messages, and for the little that the fast reader cannot tell; rows are read by `csv_files`.
"""

import csv
import io
import itertools
import sys
from collections.abc import Iterator

import pyarrow as pa

from lineage.outcome import InputError


def records(path: str) -> Iterator[tuple[int, list[str]]]:
    """The records of the file, header first and blank lines left out, each with the line on which it starts.

    Bytes that are not UTF-8 come as lone surrogates. Raises csv.Error where a quote is never closed.
    """
    csv.field_size_limit(sys.maxsize)
    # A compressed file is told by the end of its name, as pyarrow.csv does it.
    with pa.input_stream(path, compression="detect") as file:
        reader = csv.reader(io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline=""), strict=True)
        line = 1
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1


def line_of_row(path: str, row: int) -> int:
    """The line on which the row starts; rows count from 0 after the header."""
    return next(line for line, _ in itertools.islice(records(path), row + 1, None))


def first_fault(path: str) -> InputError | None:
    """The first line that is not UTF-8, or has not as many cells as the header, or opens a quote never closed."""
    line, width = 0, None
    try:
        for line, record in records(path):
            width = width or len(record)
            if len(record) != width:
                return InputError(
                    f"{path}, line {line}: {len(record)} cells, expected {width} as in the header. "
                    'Correct the row; a comma inside a cell needs the cell in double quotes: "...".'
                )
            raw = not_utf8(record)
            if raw is not None:
                return InputError(f"{path}, line {line}: {raw[:60]!r} is not UTF-8. Save the file as UTF-8.")
    except csv.Error as error:
        return InputError(
            f"{path}, after line {line}: {error}. Is a double quote opened and never closed? "
            'A double quote inside a cell is written twice: "".'
        )
    return None


def not_utf8(record: list[str]) -> bytes | None:
    """The bytes of the first cell that are not UTF-8, or None where all cells are."""
    for cell in record:
        raw = cell.encode("utf-8", errors="surrogateescape")
        if raw.decode("utf-8", errors="replace") != cell:
            return raw
    return None
