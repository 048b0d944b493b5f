"""What input files are, by their bytes alone: the same after a copy or a checkout, another after any edit.

Needs neither TFX nor TensorFlow. A file costs the time it takes to read it: SHA-256 runs at more than 1 GB/s a core.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def files_fingerprint(files: Iterable[str]) -> str:
    """SHA-256 (hex) of the contents of the files in this order; names, times and owners count for nothing."""
    return hashlib.sha256("\n".join(map(_file_digest, files)).encode()).hexdigest()


def _file_digest(file: str) -> str:
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
