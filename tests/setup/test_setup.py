"""`make setup` in a copy of what it reads: when it does nothing, and what it says where it cannot go on.

Nothing here installs anything: each case stops before, or asks make only what it would do.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
READ = ["Makefile", ".make", "requirements.lock", "pyproject.toml", "setup.py", "custom_ops", "compat"]
# What setup.sh calls besides Python and a compiler.
TOOLS = ["bash", "dirname", "grep", "mkdir", "tail", "wc"]
REAL_PYTHON = Path(sys.base_prefix) / "bin" / "python3"
UV = shutil.which("uv", path=f"{ROOT / '.uv' / 'bin'}:{os.environ['PATH']}") or "uv"
CLOSED_PORT = "http://127.0.0.1:9/simple"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A clone as set-up sees it."""
    for name in READ:
        target = tmp_path / "clone" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    return tmp_path / "clone"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with the few tools that set-up calls and neither Python nor compiler."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (folder / tool).symlink_to(found)
    return folder


@pytest.fixture(scope="module")
def check_python() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_python", ROOT / ".make" / "check_python.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def add_compiler(path: Path) -> None:
    for tool in ["g++", "as"]:
        (path / tool).symlink_to(shutil.which(tool) or tool)


def add_script(path: Path, name: str, script: str) -> None:
    (path / name).write_text(f"#!/bin/bash\n{script}\n")
    (path / name).chmod(0o755)


def set_up(copy: Path, path: Path, **environment: str) -> tuple[str, str]:
    """Runs set-up, which must fail; returns its progress (stdout) and its only other line (stderr)."""
    ran = subprocess.run(
        [copy / ".make" / "setup.sh"], env={"PATH": str(path), **environment}, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1, ran.stderr
    return ran.stdout, ran.stderr


def would_do_nothing(copy: Path) -> bool:
    return subprocess.run(["make", "--question", "setup"], cwd=copy, check=False).returncode == 0


def test_second_setup_does_nothing(copy: Path) -> None:
    assert not would_do_nothing(copy)
    (copy / ".venv").mkdir()
    (copy / ".venv" / ".ready").touch()
    assert would_do_nothing(copy)


@pytest.mark.parametrize(
    "changed",
    [
        "requirements.lock",
        "pyproject.toml",
        "setup.py",
        "custom_ops/smoothed_softmax_xent/kernel.cc",
        "compat/tfx_bsl/arrow/sql_util.py",
    ],
)
def test_setup_runs_again_after_a_change(copy: Path, changed: str) -> None:
    ready = copy / ".venv" / ".ready"
    ready.parent.mkdir()
    ready.touch()
    later = ready.stat().st_mtime + 1
    os.utime(copy / changed, (later, later))
    assert not would_do_nothing(copy)


def test_no_compiler_is_one_sentence(copy: Path, path: Path) -> None:
    _, said = set_up(copy, path)
    assert said == "setup | There is no working C++17 compiler (g++): install g++, or name your compiler in CXX.\n"


def test_no_python_is_one_sentence(copy: Path, path: Path) -> None:
    add_compiler(path)
    _, said = set_up(copy, path)
    assert "needs Python 3.11, 3.12 or 3.13 and found none: install python3.11" in said


def test_python_that_does_not_run_is_passed_over_and_no_index_is_one_sentence(copy: Path, path: Path) -> None:
    add_compiler(path)
    add_script(path, "python3.11", "exit 127")  # what a version manager leaves for a Python that is not selected
    add_script(path, "python3", f'exec {REAL_PYTHON} "$@"')
    (path / "uv").symlink_to(UV)
    progress, said = set_up(
        copy, path, UV_DEFAULT_INDEX=CLOSED_PORT, UV_HTTP_RETRIES="0", UV_CACHE_DIR=str(copy / "cache")
    )
    assert progress.startswith(f"setup | Python {sys.base_prefix}")
    assert "No package index can be reached" in said
    assert "build/setup.log" in said


GOOD: dict[str, Any] = {
    "version": (3, 11),
    "system": ("Linux", "x86_64"),
    "glibc": (2, 36),
    "headers": True,
    "venv": True,
}


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ({"version": (3, 9)}, "needs Python 3.11, 3.12 or 3.13, found 3.9: install python3.11"),
        ({"version": (3, 14)}, "found 3.14: install python3.11"),
        ({"version": (3, 13)}, "With glibc 2.36 Slipway needs Python 3.11, found 3.13"),
        ({"system": ("Darwin", "arm64")}, "this is Darwin arm64: use a Linux machine or container"),
        ({"headers": False}, "Python 3.11 has no headers (Python.h): install them (Debian and Ubuntu: python3.11-dev)"),
        ({"venv": False}, "install python3.11-venv"),
    ],
)
def test_unfit_python_is_told_what_to_install(check_python: ModuleType, case: dict[str, Any], sentence: str) -> None:
    assert sentence in check_python.why_not(**{**GOOD, **case})


@pytest.mark.parametrize("case", [{}, {"version": (3, 12), "glibc": (2, 39)}, {"version": (3, 13), "glibc": (2, 41)}])
def test_fit_python_is_taken(check_python: ModuleType, case: dict[str, Any]) -> None:
    assert check_python.why_not(**{**GOOD, **case}) is None
