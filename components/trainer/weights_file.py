"""Where trained weights lie that a training can begin with, and what they are by their contents.

Imports no TensorFlow, so that a path is checked before any work.
"""

from pathlib import Path

from components.example_gen.fingerprint import files_fingerprint
from lineage.outcome import InputError

BEST = "best.weights.h5"

_SAVED_MODEL = "saved_model.pb"
_IN_FOLDER = (BEST, f"Format-Serving/{_SAVED_MODEL}", _SAVED_MODEL)


def find(path: str) -> Path:
    """The Keras file, or the folder of the SavedModel, that a path stands for.

    Args:
      path: A `.weights.h5` or `.keras` file, an output folder of a Trainer (`model_run` or `model`), or a SavedModel
        such as a pushed version.

    Raises:
      InputError: there is nothing at the path, or nothing of these.

    Example:
      >>> find("slipway/serving/digits/3")
      PosixPath('slipway/serving/digits/3')
    """
    place = Path(path)
    if not place.exists():
        raise InputError(f"trainer.warm_start: there is no {place}; expected latest_blessed or a path to {_EXPECTED}.")
    if place.is_file():
        if place.name.endswith((".weights.h5", ".keras")):
            return place
        raise InputError(f"trainer.warm_start: {place} holds no weights that can be read; expected {_EXPECTED}.")
    found = next((place / name for name in _IN_FOLDER if (place / name).is_file()), None)
    if found is None:
        raise InputError(f"trainer.warm_start: {place} has no trained weights in it; expected {_EXPECTED}.")
    return found.parent if found.name == _SAVED_MODEL else found


def fingerprint(path: str) -> str:
    """SHA-256 (hex) of the weights that `find` finds, the same after a copy."""
    found = find(path)
    files = sorted(found.glob("variables/variables.*")) if found.is_dir() else [found]
    return files_fingerprint(map(str, files))


_EXPECTED = (
    "a .weights.h5 or .keras file, an output folder of the Trainer (model_run or model), or a pushed version of a model"
)
