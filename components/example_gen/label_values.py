"""Whether every row has a label that can be learned: one finite number. Found here it has a file and a line."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.example_gen import sources
from components.example_gen.columns import ColumnType
from lineage.outcome import InputError


def check_label_values(files: Sequence[str], source: sources.Source, label: str) -> None:
    """Checks the label of every row.

    Args:
      files: all files of the source.
      source: what `sources.read_through` says of them.
      label: one of its columns.

    Raises:
      InputError: a row has no label, or one that is not one finite number; the message has the first such row and
        their number.
    """
    kind = source.columns[label]
    if kind is ColumnType.EMPTY:
        raise InputError(
            f"The label {label!r} has no value in any of the {source.rows:,} rows. Fill the column, or name another "
            "one in data.label."
        )
    first, count = None, 0
    for fault in _faults(files, source, label):
        first, count = first or fault, count + 1
    if first:
        raise _refusal(*first, count, source, label)
    if kind is ColumnType.STRING:
        raise InputError(f"The label {label!r} holds numbers as text. Write the column as numbers.")


def _refusal(path: str, row: int, value: object, count: int, source: sources.Source, label: str) -> InputError:
    return InputError(
        f"{sources.READERS[source.data_format].place(path, row)}: the label {label!r} is {_shown(value)}; {count:,} of "
        f"{source.rows:,} rows {'do' if count > 1 else 'does'} not have one finite number there. Correct the values, "
        "or leave the rows out."
    )


def _faults(files: Sequence[str], source: sources.Source, label: str) -> Iterator[tuple[str, int, object]]:
    """File, row in the file and value of each label that is not one finite number."""
    labels = sources.Source(source.data_format, {label: source.columns[label]}, source.rows)
    for path in files:
        before = 0
        for batch in sources.batches(path, labels):
            for row in np.flatnonzero(_is_wrong(batch[label])):
                yield path, before + int(row), batch[label][row].as_py()
            before += batch.num_rows


def _is_wrong(lists: pa.LargeListArray) -> npt.NDArray[np.bool_]:
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    wrong = lengths != 1
    starts = np.cumsum(lengths) - lengths
    wrong[~wrong] = ~_is_finite(lists.flatten())[starts[~wrong]]
    return wrong


def _is_finite(values: pa.Array) -> npt.NDArray[np.bool_]:
    if pa.types.is_binary(values.type):
        return np.fromiter((_is_number(value) for value in values.to_pylist()), np.bool_, len(values))
    return np.isfinite(values.to_numpy())


def _is_number(text: bytes) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


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
