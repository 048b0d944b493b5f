"""Opens the ML Metadata store under a root folder; knows where things lie there, and nothing of what they mean."""

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore

from lineage.connection import Metadata, choose, connection, database, describe, metadata_of, sqlite
from lineage.outcome import InputError

# The context types under which TFX files every execution.
PIPELINE = "pipeline"
RUN = "pipeline_run"
NODE = "node"


# What lies in the folder of a run: temporary files, log, report, and the compiled pipeline, for any run and for this.
SCRATCH = "tmp"
LOG = "log.txt"
REPORT = "report.html"
TEMPLATE = "template.pb"
COMPILED = "pipeline.pb"

_SECONDS = 10.0  # that one waits for a database which another program holds


def run_folder(root: Path, run_id: str) -> Path:
    """The folder of a run's log, report, compiled pipeline and lock."""
    return root / "runs" / run_id


def claim_run_folder(root: Path, run_id: str) -> bool:
    """Makes the folder of a new run; False where it is there, so that of two processes only one gets the id.

    Raises:
      InputError: it cannot be made.
    """
    folder = run_folder(root, run_id)
    with _usable(root):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir()
        except FileExistsError:
            return False
    return True


def make_run_folder(root: Path, run_id: str) -> Path:
    """Makes the folder of a run, unless it is there; returns it.

    Raises:
      InputError: it cannot be made, or not be written to.
    """
    folder = run_folder(root, run_id)
    with _usable(root):
        folder.mkdir(parents=True, exist_ok=True)
        _require(folder, os.W_OK | os.X_OK)
    return folder


def pipeline_root(root: Path, pipeline: str) -> Path:
    """The folder under which TFX keeps the artifacts of a pipeline."""
    return root / "artifacts" / pipeline


def open_store(root: Path) -> MetadataStore:
    """Opens the store that runs under `root` have written.

    Raises:
      InputError: nothing has run under `root`, or its store cannot be read or is none.
    """
    path = database(root)
    if metadata_of(root).postgresql:
        return _connect(root)
    with _usable(root):
        exists = path.exists()
        if exists:
            _require(path, os.R_OK)
    if not exists:
        raise InputError(
            f"Nothing has run under {root} yet (there is no {path}). Start with `slipway run`, or name the folder of "
            "an earlier run with --root."
        )
    if not _is_store(path):
        raise InputError(f"{path} is not an ML Metadata store. Move it away, or choose another folder with --root.")
    return _connect(root)


def create_store(root: Path, metadata: Metadata | None = None) -> MetadataStore:
    """Opens the store under `root`, first creating the folder and the schema where they are missing.

    Args:
      root: The root folder.
      metadata: Where the store is to be; None for where it is, or is by default.

    Raises:
      InputError: the folder cannot be made or written to, or its store is elsewhere, or is none, or not reached.
    """
    path = database(root)
    with _usable(root):
        root.mkdir(parents=True, exist_ok=True)
        _require(root, os.W_OK | os.X_OK)  # SQLite writes its journal beside the database
        if metadata is not None:
            choose(root, metadata)
        exists = path.exists() and path.stat().st_size > 0
        if exists:
            _require(path, os.R_OK | os.W_OK)
    if exists:
        return open_store(root)
    # Two that make the tables of an empty database at once would meet each other's.
    with (root / "metadata.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if metadata_of(root).postgresql is None and not path.exists():
            _make(path)
        return _connect(root)


@contextlib.contextmanager
def _usable(root: Path) -> Iterator[None]:
    """Says in a sentence what the file system denies: the folder was the user's choice."""
    try:
        yield
    except OSError as error:
        reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
        where = f" ({error.filename})" if error.filename and error.filename != str(root) else ""
        raise InputError(
            f"The root folder {root} cannot be used: {reason}{where}. "
            "Name a folder that you may read and write with --root."
        ) from error


def _require(path: Path, mode: int) -> None:
    if not os.access(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _make(path: Path) -> None:
    """An empty store, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    for left in path.parent.glob(f"{new.name}*"):
        left.unlink()
    MetadataStore(sqlite(new))
    new.rename(path)


def _is_store(path: Path) -> bool:
    """Asks SQLite itself: ML Metadata would write its tables into any database it is given.

    Raises:
      InputError: another program holds the database.
    """
    # Writable, for what a kill left half-written is undone by the first who opens it.
    connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=_SECONDS)
    try:
        return bool(connection.execute("SELECT name FROM sqlite_master WHERE name = 'MLMDEnv'").fetchall())
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            return False
        raise InputError(
            f"{path} is locked by another program for more than {_SECONDS:g} s. Let it end, and run this again."
        ) from None
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()


def _connect(root: Path) -> MetadataStore:
    config = connection(root)
    try:
        return MetadataStore(config)
    except RuntimeError as error:  # of a server, ML Metadata says why only on standard error
        raise InputError(
            f"{describe(root)} cannot be opened. See that the server runs and is reached from here, and that database, "
            "user and password are right."
        ) from error
