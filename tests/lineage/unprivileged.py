"""Calls a function of lineage.store as a user who is not root, because to root no folder is read-only."""

import subprocess
import sys
from pathlib import Path

# Root gives itself up only after the imports: the interpreter itself may lie where nobody else may read.
CALL = """
import os, pathlib, sys
from lineage.outcome import InputError
from lineage.store import create_store, make_run_folder, open_store
NOBODY = 65534
if os.getuid() == 0:
    os.setuid(NOBODY)
root = pathlib.Path(sys.argv[2])
try:
    make_run_folder(root, "r1") if sys.argv[1] == "make_run_folder" else globals()[sys.argv[1]](root)
except InputError as error:
    print(error)
"""


def call(function: str, root: Path) -> str:
    """The message of the InputError that the function raises for `root`; empty where it raises none."""
    command = [sys.executable, "-c", CALL, function, str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
