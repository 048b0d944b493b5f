"""The environment that set-up made: what other processes can import, and a build of the op where it cannot be built."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import _distutils_hack
import setuptools

ROOT = Path(__file__).parents[2]


def build_op(python: str | Path, folder: Path, **environment: str) -> str:
    """Builds the op's library with `python` into `folder`; returns what the build says."""
    command = [python, "setup.py", "-q", "build_ext", "--build-lib", folder, "--build-temp", folder]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert not list(folder.rglob("*.so"))
    return ran.stdout


def test_a_process_of_its_own_imports_what_beam_workers_import() -> None:
    ran = subprocess.run([sys.executable, ROOT / ".make" / "self_check.py"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.startswith("workers can import TensorFlow 2.21")
    assert ran.stdout.endswith("custom ops built\n")


def test_build_without_a_compiler_leaves_the_op_out_in_one_line(tmp_path: Path) -> None:
    said = build_op(sys.executable, tmp_path, CXX="no-such-compiler")
    assert said == "slipway: the custom ops are left out: there is no C++ compiler (no-such-compiler).\n"


def test_isolated_build_leaves_the_op_out_in_one_line(tmp_path: Path) -> None:
    # As front ends isolate a build: an environment of its own in which only setuptools is to be seen.
    venv.create(tmp_path / "isolated")
    for package in (setuptools, _distutils_hack):
        folder = Path(package.__file__).parent
        (tmp_path / folder.name).symlink_to(folder)
    said = build_op(tmp_path / "isolated" / "bin" / "python", tmp_path, PYTHONPATH=str(tmp_path))
    assert said.count("\n") == 1
    assert "this build cannot import TensorFlow" in said
