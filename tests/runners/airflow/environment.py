"""Environments of Airflow, one a version, made from the locks beside this file: in them is neither TFX nor Slipway."""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).parents[3]


def environment(version: str) -> Path:
    """The folder of the environment of Airflow 2 or 3; of several processes at once one makes it, the others wait."""
    lock_file = Path(__file__).with_name(f"airflow-{version}.lock")
    folder = _CHECKOUT / "build" / f"airflow-{version}"
    folder.parent.mkdir(exist_ok=True)
    installed = folder / "installed.lock"
    with lock_file.open("rb") as wanted:
        fcntl.flock(wanted, fcntl.LOCK_EX)
        if not (installed.exists() and installed.read_bytes() == wanted.read()):
            _make(folder, lock_file)
            shutil.copy(lock_file, installed)
    return folder


def _make(folder: Path, lock_file: Path) -> None:
    own = _CHECKOUT / ".uv" / "bin" / "uv"
    uv = str(own) if own.exists() else "uv"
    to = ["--python", str(folder / "bin" / "python")]
    for command in (
        ["venv", "--clear", "--python", sys.executable, str(folder)],
        ["pip", "sync", *to, "--require-hashes", "--compile-bytecode", str(lock_file)],
    ):
        done = subprocess.run([uv, "--quiet", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
