"""One folder for the temporary files of a run, so that a killed run leaves none behind for ever."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[None]:
    """Makes `folder` the place of temporary files, of child processes too; empties it before and removes it after."""
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    shutil.rmtree(folder, ignore_errors=True)  # what a kill has left
    folder.mkdir(parents=True)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before[1]
        if before[0] is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before[0]
        shutil.rmtree(folder, ignore_errors=True)
