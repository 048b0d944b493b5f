"""The weights that a training begins with instead of random ones: all of them fit the model, or none is taken.

A model of which only some layers are trained weights would learn, and nobody would notice that the rest began anew.
"""

import itertools
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import tensorflow as tf
from numpy.typing import NDArray

from lineage.outcome import InputError

_SEED = "seed_generator_state"  # where dropout is in its random numbers; begins anew
_IN_KERAS_FILE = "model.weights.h5"

Shape = tuple[int, ...]


class _Named(NamedTuple):
    name: str
    shape: Shape


def read_weights(source: Path, model: keras.Model) -> list[NDArray[Any]]:
    """The weights that lie in a file or SavedModel, in the order of `model.weights`.

    Args:
      source: What `weights_file.find` has found.
      model: A built and compiled model of ordinary layers, which takes them; its optimizer does not.

    Raises:
      InputError: a weight is missing, is one too many, or has another shape; the message names the first such, with
        both shapes.
    """
    return _of_saved_model(source, model) if source.is_dir() else _of_keras_file(source, model)


def _of_saved_model(source: Path, model: keras.Model) -> list[NDArray[Any]]:
    """A SavedModel written by Keras keeps its variables in a list, in the model's order; the names may repeat."""
    variables = getattr(tf.saved_model.load(str(source)), "variables", None)
    if variables is None:
        raise InputError(
            f"trainer.warm_start: the SavedModel {source} has no list of its weights, as those have that Keras exports "
            "(keras.Model.export, and the Trainer)."
        )
    there = [variable for variable in variables if _SEED not in variable.name]
    named = [_Named(variable.name.removesuffix(":0"), _shape(variable.shape)) for variable in there]
    wanted = [_Named(weight.path, _shape(weight.shape)) for weight in model.weights]
    for found, expected in itertools.zip_longest(named, wanted):
        if found is None or expected is None or found.shape != expected.shape:
            raise _misfit(source, found, expected)
    return [variable.numpy() for variable in there]


def _of_keras_file(source: Path, model: keras.Model) -> list[NDArray[Any]]:
    """Keras' files name weights by the structure of the model, whatever its layers are called."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder, "own.weights.h5")
        model.save_weights(own)
        taken = source if source.suffix != ".keras" else _extracted(source, Path(folder, "taken.weights.h5"))
        wanted, named = _shapes(own, own), _shapes(taken, source)
        for name in sorted({*named, *wanted}):
            if named.get(name) != wanted.get(name):
                found, expected = (_Named(name, shapes[name]) if name in shapes else None for shapes in (named, wanted))
                raise _misfit(source, found, expected)
        model.load_weights(taken, objects_to_skip=[model.optimizer])
    return [*model.get_weights()]


def _extracted(source: Path, target: Path) -> Path:
    try:
        with zipfile.ZipFile(source) as archive:
            target.write_bytes(archive.read(_IN_KERAS_FILE))
    except (zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"trainer.warm_start: {source} is not a .keras file: {error}") from error
    return target


def _shapes(file: Path, source: Path) -> dict[str, Shape]:
    """Shapes of the weights in a file of Keras, which has those of the optimizer besides."""
    found: dict[str, Shape] = {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer/"):
            found[name] = item.shape

    try:
        with h5py.File(file) as stored:
            stored.visititems(note)
    except OSError as error:
        raise InputError(f"trainer.warm_start: {source} cannot be read as Keras' weights: {error}.") from error
    return found


def _misfit(source: Path, found: _Named | None, expected: _Named | None) -> InputError:
    if expected is None:
        assert found is not None
        what = f"{source} has {found.name} {[*found.shape]}, for which the model of build_model has no place"
    elif found is None:
        what = f"the model of build_model has {expected.name} {[*expected.shape]}, and {source} has nothing for it"
    else:
        what = (
            f"{expected.name} is {[*expected.shape]} in the model of build_model, and {[*found.shape]} in {source}"
            + (f" ({found.name})" if found.name != expected.name else "")
        )
    return InputError(
        f"trainer.warm_start: {what}. All weights have to fit. Begin with those of a model that is built alike, or "
        "leave warm_start out."
    )


def _shape(sizes: Iterable[int]) -> Shape:
    return tuple(int(size) for size in sizes)
