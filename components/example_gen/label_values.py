"""Whether every row has a label, and a weight, that the task can take. Found here, a fault has a file and a line."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.example_gen import sources
from components.example_gen.columns import ColumnType
from lineage.outcome import InputError

Numbers = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Values:
    """What a row has to have in a column: `count` numbers, all of which `are_good`; `expected` says so in words."""

    expected: str
    are_good: Callable[[Numbers], npt.NDArray[np.bool_]]
    count: int = 1


def _are_bits(numbers: Numbers) -> npt.NDArray[np.bool_]:
    return (numbers == 0) | (numbers == 1)


_CLASS = Values("one whole number from 0 on", lambda numbers: (numbers >= 0) & (numbers % 1 == 0))
_BIT = Values("one number, 0 or 1,", _are_bits)
_NUMBER = Values("one finite number", np.isfinite)
_WEIGHT = Values("one finite number from 0 on", lambda numbers: np.isfinite(numbers) & (numbers >= 0))

_LABELS = {"multiclass": _CLASS, "binary": _BIT, "regression": _NUMBER}


def check_values(
    files: Sequence[str], source: sources.Source, *, label: Sequence[str], task: str, weight: str | None = None
) -> None:
    """Checks label and weight of every row.

    Args:
      files: All files of the source.
      source: What `sources.read_through` says of them.
      label: One of its columns; several, where they are the labels of the task multilabel.
      task: multiclass, binary, multilabel or regression.
      weight: The column that examples are weighted by.

    Raises:
      InputError: a row has no label or weight, or one that is not what the task takes; the message has the first such
        row and their number.
    """
    for name in label:
        _check_filled("label", name, source)
        values = _BIT if len(label) > 1 else _LABELS.get(task) or _bits(files[0], name, source)
        _check("label", name, values, files, source)
    if weight is not None:
        _check_filled("weight", weight, source)
        _check("weight", weight, _WEIGHT, files, source)


def _bits(path: str, name: str, source: sources.Source) -> Values:
    """As many bits as the first row has."""
    first = next(_batches(path, name, source), None)
    count = 0 if first is None else len(first[0].as_py() or [])
    if count < 2:
        raise InputError(
            f"The label {name!r} has {count} value{'s' * (count != 1)} in the first row; task multilabel takes 2 or "
            "more. Give a column of lists of 0 and 1 (Parquet), or the columns of the labels as a list in data.label."
        )
    return Values(f"{count} numbers, each 0 or 1,", _are_bits, count)


def _check_filled(role: str, name: str, source: sources.Source) -> None:
    if source.columns[name] is ColumnType.EMPTY:
        raise InputError(
            f"The {role} {name!r} has no value in any of the {source.rows:,} rows. Fill the column, or name another "
            f"one in data.{role}."
        )


def _check(role: str, name: str, values: Values, files: Sequence[str], source: sources.Source) -> None:
    first, count = None, 0
    for fault in _faults(files, source, name, values):
        first, count = first or fault, count + 1
    if first:
        path, row, value = first
        raise InputError(
            f"{sources.READERS[source.data_format].place(path, row)}: the {role} {name!r} is {_shown(value)}; "
            f"{count:,} of {source.rows:,} rows {'do' if count > 1 else 'does'} not have {values.expected} there. "
            "Correct the values, or leave the rows out."
        )
    if source.columns[name] is ColumnType.STRING:
        raise InputError(f"The {role} {name!r} holds numbers as text. Write the column as numbers.")


def _faults(
    files: Sequence[str], source: sources.Source, name: str, values: Values
) -> Iterator[tuple[str, int, object]]:
    """File, row in the file and value of each row that is not as it should be."""
    for path in files:
        before = 0
        for column in _batches(path, name, source):
            for row in np.flatnonzero(_is_wrong(column, values)):
                yield path, before + int(row), column[row].as_py()
            before += len(column)


def _batches(path: str, name: str, source: sources.Source) -> Iterator[pa.LargeListArray]:
    only = sources.Source(source.data_format, {name: source.columns[name]}, source.rows)
    return (batch[name] for batch in sources.batches(path, only))


def _is_wrong(lists: pa.LargeListArray, values: Values) -> npt.NDArray[np.bool_]:
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    wrong = lengths != values.count
    starts = (np.cumsum(lengths) - lengths)[~wrong]
    good = values.are_good(_numbers(lists.flatten()))
    wrong[~wrong] = ~good[starts[:, None] + np.arange(values.count)].all(axis=1)
    return wrong


def _numbers(values: pa.Array) -> Numbers:
    """The values; of text the numbers that it says, and NaN where it says none."""
    if pa.types.is_binary(values.type):
        return np.array([_number(text) for text in values.to_pylist()], np.float64)
    return values.to_numpy()


def _number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _shown(value: object) -> str:
    match value:
        case None | []:
            return "missing"
        case [bytes(text)]:
            return repr(text.decode("utf-8", errors="backslashreplace")[:60])
        case [number]:
            return str(number)
        case _:
            return str(value)[:60]
