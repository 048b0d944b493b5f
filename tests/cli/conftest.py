"""Calls the `slipway` command in this process, on a root folder with one recorded run."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.main import main
from lineage.outcome import State
from lineage.recording import NewRun, begin_run, finish_run
from lineage.store import create_store


class Ended(NamedTuple):
    """How the command ended: exit code, standard output, standard error."""

    code: object
    out: str
    err: str


Slipway = Callable[..., Ended]


@pytest.fixture
def slipway(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Slipway:
    """The command: arguments in, how it ended out."""

    def call(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["slipway", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(ended.value.code or 0, *capsys.readouterr())

    return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root folder with the failed run r1 of one node."""
    root = tmp_path / "output"
    store = create_store(root)
    begin_run(store, root, "r1", NewRun("digits", "same", "name: digits\n", ["Make"], []))
    finish_run(store, "r1", State.FAILED, "Make: \x1b[1mno such file\x1b[0m")
    return root
