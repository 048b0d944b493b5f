"""What `sources` says of files, without TFX: types, rows as features, and one sentence for each thing that is wrong."""

import datetime
import gzip
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from components.example_gen import csv_files, sources
from components.example_gen.columns import ColumnType
from lineage.outcome import InputError

INT, FLOAT, STRING, EMPTY = ColumnType.INT, ColumnType.FLOAT, ColumnType.STRING, ColumnType.EMPTY


def write(path: Path, text: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def parquet(path: Path, columns: dict[str, pa.Array]) -> str:
    pyarrow.parquet.write_table(pa.table(columns), path)
    return str(path)


def features(
    path: str, data_format: sources.DataFormat, fixed: dict[str, ColumnType] | None = None
) -> dict[str, object]:
    source = sources.read_through([path], data_format, fixed or {})
    return pa.Table.from_batches(sources.batches(path, source)).to_pydict()


def refusal(
    files: list[str], data_format: sources.DataFormat = "csv", fixed: dict[str, ColumnType] | None = None
) -> str:
    with pytest.raises(InputError) as raised:
        sources.read_through(files, data_format, fixed or {})
    return str(raised.value)


def test_a_source_is_checked_without_tensorflow_tfx_beam_or_pandas() -> None:
    code = (
        "import sys; from components.example_gen import sources; "
        "print({'tensorflow', 'tfx', 'apache_beam', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_types_widen_over_all_rows_and_files_and_an_empty_cell_is_a_missing_value(tmp_path: Path) -> None:
    one = write(tmp_path / "1.csv", "i,f,s,e,zip\n1,1,1,,00501\n,2,2,,12\n")
    two = write(tmp_path / "2.csv", "i,f,s,e,zip\n3,1.5,x,,7\n-4, 2 ,,,8\n")
    source = sources.read_through([one, two], "csv", {})
    assert source.columns == {"i": INT, "f": FLOAT, "s": STRING, "e": EMPTY, "zip": INT}
    assert source.rows == 4
    assert pa.Table.from_batches(sources.batches(one, source)).to_pydict() == {
        "i": [[1], None],
        "f": [[1.0], [2.0]],
        "s": [[b"1"], [b"2"]],
        "zip": [[501], [12]],
    }


def test_types_widen_when_the_first_block_misleads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 64)
    path = write(tmp_path / "a.csv", "x,y,z\n" + "1,,2\n" * 100 + "2.5,late,3\n" + "1,,2\n" * 100)
    source = sources.read_through([path], "csv", {})
    assert (source.columns, source.rows) == ({"x": FLOAT, "y": STRING, "z": INT}, 201)
    assert sources.read_header([path], "csv") == {"x": INT, "y": EMPTY, "z": INT}


def test_types_of_a_curated_schema_rule(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "fare,code\n1,1\n2,2\n")
    assert features(path, "csv", {"fare": FLOAT, "code": STRING, "not in the data": INT}) == {
        "fare": [[1.0], [2.0]],
        "code": [[b"1"], [b"2"]],
    }


def test_csv_as_people_write_it_is_read(tmp_path: Path) -> None:
    text = '\ufeffname,said\r\nA,"one\r\ntwo"\r\n\r\nB,"say ""hi"", all"\r\nC,""'
    expected = {"name": [[b"A"], [b"B"], [b"C"]], "said": [[b"one\r\ntwo"], [b'say "hi", all'], None]}
    assert features(write(tmp_path / "a.csv", text), "csv") == expected
    assert features(write(tmp_path / "a.csv.gz", gzip.compress(text.encode())), "csv") == expected


def test_columns_may_come_in_another_order_in_another_file(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.csv", "a,b\n1,x\n"), write(tmp_path / "2.csv", "b,a\ny,2\n")
    source = sources.read_through([one, two], "csv", {})
    assert pa.Table.from_batches(sources.batches(two, source)).to_pydict() == {"a": [[2]], "b": [[b"y"]]}


def test_a_part_with_only_a_header_is_fine_beside_one_with_rows(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.csv", "a,b"), write(tmp_path / "2.csv", "a,b\n1,2\n")
    source = sources.read_through([one, two], "csv", {})
    assert (source.columns, source.rows, [*sources.batches(one, source)]) == ({"a": INT, "b": INT}, 1, [])


def test_parquet_types_become_what_an_example_holds(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "a.parquet",
        {
            "small": pa.array([1, None], pa.uint8()),
            "double": pa.array([1.5, 2.5], pa.float64()),
            "flag": pa.array([True, False]),
            "day": pa.array([datetime.date(2024, 1, 2), None]),
            "kind": pa.array(["a", "b"]).dictionary_encode(),
            "raw": pa.array([b"\xff", b""], pa.large_binary()),
            "tags": pa.array([["x", "y"], None], pa.list_(pa.string())),
            "pixels": pa.array([[1, 2], [3, 4]], pa.list_(pa.int16(), 2)),
            "nothing": pa.nulls(2),
        },
    )
    assert features(path, "parquet") == {
        "small": [[1], None],
        "double": [[1.5], [2.5]],
        "flag": [[b"true"], [b"false"]],
        "day": [[b"2024-01-02"], None],
        "kind": [[b"a"], [b"b"]],
        "raw": [[b"\xff"], [b""]],
        "tags": [[b"x", b"y"], None],
        "pixels": [[1, 2], [3, 4]],
    }


def test_no_matching_file_says_the_absolute_pattern_and_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data" / "taxi.tsv", "a\n1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        sources.resolve_files("data/*.csv")
    assert str(raised.value) == f"No file matches {tmp_path}/data/*.csv. {tmp_path}/data has: taxi.tsv."
    with pytest.raises(InputError, match=rf"It is a folder; its files are {tmp_path}/data/\*"):
        sources.resolve_files("data")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a.csv is empty; expected a header line"),
        ("a,b\n", "a.csv has columns but no row"),
        ("a,b,a\n1,2,3\n", "more than one column is named 'a'"),
        (",b\n1,2\n", "no name for column 1 of 2"),
    ],
)
def test_a_header_that_cannot_be_is_refused_at_once(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path / "a.csv", text)
    with pytest.raises(InputError, match=said):
        sources.check_source([str(tmp_path / "*.csv")], "csv", ["b"])


def test_an_absent_label_lists_the_columns_nearest_first(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "fare,tips,company\n1,2,x\n")
    with pytest.raises(InputError, match=r"'tip' is not a column of the data.*nearest name first: tips, .*company"):
        sources.check_source([path], "csv", ["tip"])
    assert sources.check_source([path], "csv", ["tips"]) == {"fare": INT, "tips": INT, "company": STRING}


def test_files_with_different_columns_are_told_apart(tmp_path: Path) -> None:
    files = [write(tmp_path / "1.csv", "a,b\n1,2\n"), write(tmp_path / "2.csv", "a,c\n1,2\n")]
    assert "2.csv lacks 'b' and has also 'c', compared with" in refusal(files)


def test_a_ragged_row_is_named_by_its_line_with_quoted_newlines_and_blank_lines_before(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n1,"x\ny"\n\n2,z\n3\n4,w\n')  # lines: header, 2-3, blank, 5, 6: the fault
    assert "a.csv, line 6: 1 cells, expected 2" in refusal([path])


def test_a_value_of_another_type_than_the_schema_says_is_named_by_line_column_and_value(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n1,"x\ny"\n\n' + "2,z\n" * 5000 + "n/a,w\n" + "3,v\n" * 10)
    said = refusal([path], fixed={"a": INT})
    assert f"a.csv, line {4 + 5000 + 1}: column 'a' is 'n/a', expected int64" in said


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'a,b\n1,x\n2,"y\n3,z\n4,w\n')
    assert "a.csv, after line 2: unexpected end of data" in refusal([path])


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"a,b\n1,x\n2,caf\xe9\n")
    assert "a.csv, line 3: b'caf\\xe9' is not UTF-8" in refusal([path])


def test_what_is_not_parquet_is_refused(tmp_path: Path) -> None:
    assert "a.parquet is not a Parquet file" in refusal([write(tmp_path / "a.parquet", "a,b\n1,2\n")], "parquet")


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (pa.array([{"x": 1}]), "'c' has the type struct<x: int64>"),
        (pa.array([[[1]]]), r"'c' has the type list<element: list<element: int64>>"),
        (pa.array([[1, None]]), "'c' has a list with a null element"),
        (pa.array([2**63], pa.uint64()), r"a\.parquet: Integer value 9223372036854775808 not in range"),
    ],
)
def test_parquet_columns_that_an_example_cannot_hold_are_refused(tmp_path: Path, array: pa.Array, said: str) -> None:
    path = parquet(tmp_path / "a.parquet", {"c": array})
    with pytest.raises(InputError, match=said):
        sources.read_through([path], "parquet", {})


def test_a_parquet_column_wider_than_the_schema_says_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", {"c": pa.array([1.5])})
    assert "column 'c' holds float32, expected int64 as the schema says" in refusal([path], "parquet", {"c": INT})
