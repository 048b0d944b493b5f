"""Labels that cannot be learned, by file and line or row, without TFX."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from components.example_gen import sources
from components.example_gen.label_values import check_values
from lineage.outcome import InputError


def check_csv(path: Path, labels: list[str], task: str = "regression") -> None:
    """Line 1 is the header, and a row's text has a line break, so that row n (from 0) is on line 2 + 2 n."""
    path.write_text("said,y\n" + "".join(f'"a\nb",{label}\n' for label in labels))
    check_values([str(path)], sources.read_through([str(path)], "csv", {}), label=["y"], task=task)


def check_parquet(path: Path, labels: pa.Array, task: str = "regression") -> None:
    pyarrow.parquet.write_table(pa.table({"x": pa.array(range(len(labels))), "y": labels}), path)
    check_values([str(path)], sources.read_through([str(path)], "parquet", {}), label=["y"], task=task)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["1", "", "2", ""], "line 4: the label 'y' is missing; 2 of 4 rows do not have one finite number"),
        (["1.5", "2", "nan"], "line 6: the label 'y' is nan; 1 of 3 rows does not have one finite number"),
        (["-inf", "2"], "line 2: the label 'y' is -inf; 1 of 2"),
        (["1.5", "1e300"], "line 4: the label 'y' is inf; 1 of 2"),  # float32, as features are
        ([*["1"] * 5000, "n/a", "", "2"], "line 10002: the label 'y' is 'n/a'; 2 of 5,003"),
        (["", ""], "The label 'y' has no value in any of the 2 rows. Fill the column"),
    ],
)
def test_a_label_that_is_not_a_number_is_named_by_line_with_the_number_of_such_rows(
    tmp_path: Path, labels: list[str], said: str
) -> None:
    with pytest.raises(InputError) as raised:
        check_csv(tmp_path / "a.csv", labels)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (pa.array([1, None]), "a.parquet, row 2: the label 'y' is missing; 1 of 2 rows"),
        (pa.array([*[0.5] * 9000, float("nan")]), "a.parquet, row 9001: the label 'y' is nan; 1 of 9,001 rows"),
        (pa.array([[1], [], [2, 3]]), "a.parquet, row 2: the label 'y' is missing; 2 of 3 rows"),
        (pa.array([[1], [2, 3]]), "a.parquet, row 2: the label 'y' is [2, 3]; 1 of 2 rows"),
        (pa.array(["1", "2"]), "The label 'y' holds numbers as text."),
    ],
)
def test_a_parquet_label_is_named_by_row(tmp_path: Path, labels: pa.Array, said: str) -> None:
    with pytest.raises(InputError) as raised:
        check_parquet(tmp_path / "a.parquet", labels)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("task", "labels", "said"),
    [
        (
            "multiclass",
            ["0", "2.5", "-1"],
            "line 4: the label 'y' is 2.5; 2 of 3 rows do not have one whole number from 0",
        ),
        ("binary", ["0", "1", "2"], "line 6: the label 'y' is 2; 1 of 3 rows does not have one number, 0 or 1, there."),
    ],
)
def test_a_label_that_the_task_does_not_take_is_named_by_line(
    tmp_path: Path, task: str, labels: list[str], said: str
) -> None:
    with pytest.raises(InputError) as raised:
        check_csv(tmp_path / "a.csv", labels, task)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            [[0, 1, 1], [1, 0]],
            "row 2: the label 'y' is [1, 0]; 1 of 2 rows does not have 3 numbers, each 0 or 1, there.",
        ),
        ([[0, 1], [1, 2], None], "row 2: the label 'y' is [1, 2]; 2 of 3 rows do not have 2 numbers, each 0 or 1,"),
        ([[0.0, 1.0], [float("nan"), 0.0]], "row 2: the label 'y' is [nan, 0.0]; 1 of 2"),
        ([0, 1], "The label 'y' has 1 value in the first row; task multilabel takes 2 or more. Give a column of lists"),
    ],
)
def test_several_labels_are_as_many_bits_in_every_row(tmp_path: Path, labels: list[object], said: str) -> None:
    with pytest.raises(InputError) as raised:
        check_parquet(tmp_path / "a.parquet", pa.array(labels), task="multilabel")
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("even", "much", "said"),
    [
        ("2", "1", "line 3: the label 'even' is 2; 1 of 2 rows does not have one number, 0 or 1, there."),
        ("1", "-0.5", "line 3: the weight 'w' is -0.5; 1 of 2 rows does not have one finite number from 0 on there."),
        ("1", "", "line 3: the weight 'w' is missing; 1 of 2 rows"),
        ("1", "inf", "line 3: the weight 'w' is inf; 1 of 2 rows"),
    ],
)
def test_label_columns_and_the_weight_are_checked_row_by_row(tmp_path: Path, even: str, much: str, said: str) -> None:
    path = str(tmp_path / "a.csv")
    Path(path).write_text(f"odd,even,w\n1,0,0.5\n0,{even},{much}\n")
    source = sources.read_through([path], "csv", {})
    with pytest.raises(InputError) as raised:
        check_values([path], source, label=["odd", "even"], task="multilabel", weight="w")
    assert said in str(raised.value)


def test_the_row_is_counted_in_its_own_file(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("1.csv", "2.csv")]
    for file, text in zip(files, ("x,y\n1,1\n2,2\n", "x,y\n1,1\n2,\n"), strict=True):
        Path(file).write_text(text)
    with pytest.raises(InputError, match=r"2\.csv, line 3: the label 'y' is missing; 1 of 4 rows"):
        check_values(files, sources.read_through(files, "csv", {}), label=["y"], task="regression")


def test_numbers_pass_and_other_columns_may_be_missing(tmp_path: Path) -> None:
    check_csv(tmp_path / "a.csv", ["0", "-1.5", " 2 "])
    check_csv(tmp_path / "c.csv", ["0", "1.0", "7"], task="multiclass")
    check_parquet(tmp_path / "a.parquet", pa.array([[0.5], [1.5]]))
    check_parquet(tmp_path / "b.parquet", pa.array([[0, 1], [1, 1]]), task="multilabel")
    (tmp_path / "b.csv").write_text("x,y\n,1\n,0\n")
    files = [str(tmp_path / "b.csv")]
    check_values(files, sources.read_through(files, "csv", {}), label=["y"], task="regression")
