"""How the processes on other hosts find what to train: a file in the Trainer's folder, on storage that all hosts see.

The chief writes it when its training begins and removes it when it ends, well or not.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from components.trainer.cluster import Cluster


@dataclasses.dataclass(frozen=True)
class Announcement:
    """A training that waits for its workers.

    Attributes:
      addresses: `host:port` of its processes.
      work: What each of them is given, see `executor.fit`.
    """

    addresses: tuple[str, ...]
    work: str


@contextlib.contextmanager
def announced(chief: Cluster, work: str, folder: Path) -> Iterator[None]:
    """While entered, other hosts find the work; there are none where all processes are on this host."""
    if chief.on_one_host:
        yield
        return
    path = _path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"addresses": chief.addresses, "work": work}))
    partial.rename(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find(folder: Path) -> Announcement | None:
    """What is announced in the Trainer's folder now."""
    try:
        fields = json.loads(_path(folder).read_text())
    except FileNotFoundError:
        return None
    return Announcement(tuple(fields["addresses"]), fields["work"])


def _path(folder: Path) -> Path:
    return folder / ".workers" / "training.json"
