"""Adds a version to the folder that a model server watches, whole or not at all, and removes the oldest ones.

Everything unfinished lives in `<destination>/.push/`, which servers ignore because its name is not a number; it is
inside the destination so that a rename never crosses file systems.

    <destination>/
      7/                        a version: saved_model.pb, variables/, ..., model.tflite, assets.extra/slipway_push.json
      .push/lock                held by the push under way
      .push/last_version        the highest number ever given
      .push/work-<host>/        the copy being made, and versions being deleted
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import logging
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from serving.versions import find_versions

PUSH_RECORD = Path("assets.extra", "slipway_push.json")
TFLITE_NAME = "model.tflite"

_log = logging.getLogger("slipway")


@dataclasses.dataclass(frozen=True)
class Source:
    """What a version was made of: `model` and `tflite` name the artifacts, `digest` is that of the files' content.

    The artifact alone is not enough: a metadata store that was deleted and begun again gives the same ids and folders.
    """

    model: str
    tflite: str
    digest: str


@dataclasses.dataclass(frozen=True)
class Version:
    """A version in place: its number, its folder, and whether this call put it there."""

    number: int
    folder: Path
    is_new: bool


@dataclasses.dataclass(frozen=True)
class ModelFiles:
    """What to push: the SavedModel's folder, the `.tflite` file if there is one, and the names of their artifacts."""

    saved_model: Path
    model_artifact: str
    tflite: Path | None = None
    tflite_artifact: str = ""


def publish(*, files: ModelFiles, destination: Path, keep: int) -> Version:
    """Makes the model the newest version of `destination` and keeps the `keep` newest versions.

    A version appears by one rename, after its bytes are on disk. The number is one more than any there is or was. When
    the newest version was made of the same artifacts with the same content, nothing is pushed: this call repeats one
    that was killed after its rename. Pushes to one destination wait for one another; where hosts do not share file
    locks, the loser of a race takes the next number.

    Args:
        files: what to push; read only.
        destination: the base path of the model; created where missing.
        keep: how many versions stay, at least 1.

    Raises:
        ValueError: keep is below 1.
        OSError: a file cannot be read or written; the versions there stay as they are.
    """
    if keep < 1:
        raise ValueError(f"keep={keep}: expected at least 1, the version just pushed.")
    source = Source(files.model_artifact, files.tflite_artifact, _digest(files))
    with _locked(destination) as work:
        version = _find_repeated(destination, source)
        if version is None:
            _stage(files, source, work / "staged")
            version = _rename_to_next(work / "staged", destination)
        _prune(destination, keep, work)
        return version


def made_of(version: Path) -> Source | None:
    """What the version was made of; None for a version that something else put there."""
    path = version / PUSH_RECORD
    try:
        return Source(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def _locked(destination: Path) -> Iterator[Path]:
    """Holds the lock of `destination` and yields an empty working folder; the kernel frees a killed process's lock.

    The folder has the host's name: whatever it held was left by a killed push, and another host's is left alone.
    """
    state = destination / ".push"
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("Waiting for another push to %s to end.", destination)
            fcntl.flock(lock, fcntl.LOCK_EX)
        work = state / f"work-{socket.gethostname()}"
        if work.exists():
            shutil.rmtree(work)
        work.mkdir()
        yield work
        shutil.rmtree(work)


def _find_repeated(destination: Path, source: Source) -> Version | None:
    """The newest version, if it was made of `source`; an older one would not be what is served after this push."""
    versions = find_versions(destination)
    newest = max(versions, default=None)
    if newest is None or made_of(versions[newest]) != source:
        return None
    return Version(newest, versions[newest], is_new=False)


def _stage(files: ModelFiles, source: Source, staged: Path) -> None:
    shutil.copytree(files.saved_model, staged)
    if files.tflite:
        shutil.copyfile(files.tflite, staged / TFLITE_NAME)
    record = staged / PUSH_RECORD
    record.parent.mkdir(exist_ok=True)
    record.write_text(json.dumps(dataclasses.asdict(source), indent=1), encoding="utf-8")
    _sync_tree(staged)


def _rename_to_next(staged: Path, destination: Path) -> Version:
    """Renames onto the first number that is free, counted from the highest ever given."""
    counter = destination / ".push" / "last_version"
    number = max([_read_counter(counter), *find_versions(destination)])
    while True:
        number += 1
        # The counter first: a kill in between leaves a gap, never a number that is given twice.
        _write_counter(counter, number)
        folder = destination / str(number)
        try:
            staged.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            _log.info("Version %d of %s was taken meanwhile; trying the next number.", number, destination)
        else:
            _sync(destination)
            return Version(number, folder, is_new=True)


def _prune(destination: Path, keep: int, work: Path) -> None:
    """Moves the oldest versions out of sight first, so that a reader meets a version whole or not at all."""
    for number, folder in list(find_versions(destination).items())[:-keep]:
        folder.rename(work / str(number))


def _digest(files: ModelFiles) -> str:
    """SHA-256 over the names and the content of all files."""
    named = {str(path.relative_to(files.saved_model)): path for path in files.saved_model.rglob("*") if path.is_file()}
    if files.tflite:
        named[TFLITE_NAME] = files.tflite
    total = hashlib.sha256()
    for name, path in sorted(named.items()):
        with path.open("rb") as file:
            total.update(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _read_counter(counter: Path) -> int:
    return int(counter.read_text(encoding="ascii")) if counter.exists() else 0


def _write_counter(counter: Path, number: int) -> None:
    partial = counter.with_suffix(".partial")
    partial.write_text(str(number), encoding="ascii")
    _sync(partial)
    partial.rename(counter)
    _sync(counter.parent)


def _sync_tree(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
