"""The environment that set-up made: what other processes can import, and a build of the op where it cannot be built."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import _distutils_hack
import pytest
import setuptools

ROOT = Path(__file__).parents[2]


def build_op(python: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Builds the ops' library with `python` into `folder`, which must not come to have one."""
    command = [python, "setup.py", "-q", "build_ext", "--build-lib", folder, "--build-temp", folder]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)
    assert not list(folder.rglob("*.so"))
    return ran


def test_a_process_of_its_own_imports_what_beam_workers_import() -> None:
    ran = subprocess.run([sys.executable, ROOT / ".make" / "self_check.py"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert ran.stdout.startswith("workers can import TensorFlow 2.21")
    assert ran.stdout.endswith("custom ops built\n")


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"CXX": "no-such-compiler"}, "there is no C++ compiler (no-such-compiler)"),
        ({"SLIPWAY_WITHOUT_OPS": "1"}, "SLIPWAY_WITHOUT_OPS is set"),
    ],
)
def test_build_that_leaves_the_ops_out_says_so_in_one_line(
    tmp_path: Path, environment: dict[str, str], reason: str
) -> None:
    ran = build_op(sys.executable, tmp_path, **environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"slipway: the custom ops are left out: {reason}.\n"


def test_isolated_build_does_not_drop_the_ops_in_silence(tmp_path: Path) -> None:
    # As front ends isolate a build: an environment of its own in which only setuptools is to be seen.
    venv.create(tmp_path / "isolated")
    for package in (setuptools, _distutils_hack):
        folder = Path(package.__file__).parent
        (tmp_path / folder.name).symlink_to(folder)
    ran = build_op(tmp_path / "isolated" / "bin" / "python", tmp_path, PYTHONPATH=str(tmp_path))
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "cannot import it. Install requirements.lock first and build with --no-build-isolation" in ran.stderr
