"""What looks at runs says where it wrote, and says in a sentence why it could not."""

from pathlib import Path

import pytest

from cli.style import number
from tests.cli.conftest import Slipway


def test_a_report_lies_in_the_folder_of_its_run_unless_asked_otherwise(
    slipway: Slipway, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = slipway("report", "--root", "output")
    assert (ended.code, ended.out.strip()) == (0, str(root / "runs" / "r1" / "report.html"))
    assert "no such file" in (root / "runs" / "r1" / "report.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["output"]
    ended = slipway("report", "r1", "--root", "output", "-o", "mine.html")
    assert (ended.code, ended.out.strip()) == (0, str(tmp_path / "mine.html"))
    assert (tmp_path / "mine.html").exists()


@pytest.mark.parametrize(
    ("output", "expected"), [("absent/x.html", "absent/x.html: No such file or directory"), (".", "is a folder")]
)
def test_a_report_that_cannot_be_written_is_an_input_error(
    slipway: Slipway, root: Path, tmp_path: Path, output: str, expected: str
) -> None:
    ended = slipway("report", "--root", root, "-o", tmp_path / output)
    assert ended.code == 2
    assert expected in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_show_prints_the_reason_without_escape_sequences(slipway: Slipway, root: Path) -> None:
    ended = slipway("show", "--root", root)
    assert ended.code == 0
    assert "Make: no such file" in ended.out
    assert "\x1b" not in ended.out


def test_runs_are_listed_with_the_runner_that_they_had(slipway: Slipway, root: Path) -> None:
    ended = slipway("runs", "--root", root)
    header, row = ended.out.splitlines()
    assert header.split()[:3] == ["run", "runner", "state"]
    assert row.split()[:3] == ["r1", "local", "FAILED"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.96, "0.9600"), (135_905.3, "135,905"), (float("nan"), "not defined"), (-12.5, "-12.5000")],
)
def test_numbers_are_written_out(value: float, expected: str) -> None:
    assert number(value) == expected
