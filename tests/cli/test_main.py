"""What the command says before any verb."""

import tomllib
from pathlib import Path

from lineage.store import COMPILED, REPORT, run_folder
from tests.cli.conftest import Slipway

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_version_is_that_of_the_project(slipway: Slipway) -> None:
    ended = slipway("--version")
    version = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    assert (ended.code, ended.out) == (0, f"slipway {version}\n")


def test_a_root_that_is_a_file_is_said_in_a_sentence(slipway: Slipway, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = slipway("runs", "--root", tmp_path / "file")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: Nothing has run under")


def test_a_crash_is_another_exit_code_than_a_run_that_failed(slipway: Slipway, root: Path) -> None:
    folder = run_folder(root, "r1")
    (folder / COMPILED).touch()
    assert slipway("end", "r1", "--root", root).code == 1, "the run has failed"
    (folder / REPORT).unlink()
    (folder / REPORT).mkdir()
    ended = slipway("end", "r1", "--root", root)
    assert ended.code == 4
    assert "IsADirectoryError" in ended.err
