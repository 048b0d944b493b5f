"""Rows that a model is asked about, from files: JSON in the forms of TensorFlow Serving's REST API, CSV, and images.

Imports no TensorFlow.
"""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.quantizer.card import Card, Tensor
from lineage.outcome import InputError

Columns = dict[str, NDArray[Any]]
STDIN = "-"
_MODES = {1: "L", 3: "RGB"}  # Pillow's names of images with so many channels


def read_rows(files: Sequence[str], card: Card) -> Columns:
    """An array `[rows, ...]` for each input of the model.

    Args:
      files: One .json or .csv file, or `-` for JSON on standard input; or images.
      card: What the model takes.

    Raises:
      InputError: a file cannot be read, or does not hold what the model takes.
    """
    if len(files) == 1 and files[0] == STDIN:
        return _of_json(sys.stdin.read(), "standard input", card)
    kinds = {Path(file).suffix.lower() for file in files}
    if kinds == {".json"} and len(files) == 1:
        return _of_json(_text(files[0]), files[0], card)
    if kinds == {".csv"} and len(files) == 1:
        return _of_csv(_text(files[0]), files[0], card)
    if kinds & {".json", ".csv"}:
        raise InputError(f"got {', '.join(files)}, expected one .json or .csv file, or images.")
    return _of_images(files, card)


def _text(file: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}.") from error


def _of_json(text: str, where: str, card: Card) -> Columns:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is not JSON: {error}.") from error
    if isinstance(given, dict) and isinstance(given.get("inputs"), dict):
        return _columns(given["inputs"], where, card)
    rows = given.get("instances") if isinstance(given, dict) else None
    if not isinstance(rows, list) or not rows:
        raise InputError(
            f'{where} has neither of the forms {{"instances": [{{name: value, ...}}, ...]}} and '
            '{"inputs": {name: [value, ...], ...}}.'
        )
    if len(card.inputs) == 1 and not any(isinstance(row, dict) for row in rows):
        return _columns({card.inputs[0].name: rows}, where, card)
    if not all(isinstance(row, dict) and row.keys() == rows[0].keys() for row in rows):
        raise InputError(f"{where} has instances without the same names, expected {_named(card)} in each.")
    return _columns({name: [row[name] for row in rows] for name in rows[0]}, where, card)


def _of_csv(text: str, where: str, card: Card) -> Columns:
    arrays = [tensor.name for tensor in card.inputs if any(size not in (1, None) for size in tensor.shape[1:])]
    if arrays:
        raise InputError(f"A row of {where} has one value a column, but {', '.join(arrays)} is an array: give JSON.")
    rows = [*csv.DictReader(text.splitlines())]
    if not rows:
        raise InputError(f"{where} has no rows below its header.")
    return _columns({name: [row[name] or None for row in rows] for name in rows[0]}, where, card)


def _of_images(files: Sequence[str], card: Card) -> Columns:
    [image, *others] = card.inputs
    if others or len(image.shape) != 4 or image.shape[3] not in _MODES:
        raise InputError(
            f"got {', '.join(files)}, but the model takes no image: it takes {_named(card)}. Give a .json or .csv file."
        )
    _, height, width, channels = image.shape
    return {image.name: np.stack([_pixels(file, (width, height), _MODES[channels or 1]) for file in files])}


def _pixels(file: str, size: tuple[int | None, int | None], mode: str) -> NDArray[Any]:
    from PIL import Image  # the other files do without

    try:
        with Image.open(file) as found:
            pixels = found.convert(mode)
    except OSError as error:
        raise InputError(f"{file} is no image that can be read: {error}.") from error
    if pixels.size != size:
        received, expected = (" x ".join(map(str, each)) for each in (pixels.size, size))
        raise InputError(f"{file} is {received} pixels, expected {expected} (width x height): resize it.")
    return np.asarray(pixels, np.float32).reshape(pixels.height, pixels.width, -1)


def _columns(given: Mapping[str, Any], where: str, card: Card) -> Columns:
    absent = [tensor.name for tensor in card.inputs if tensor.name not in given]
    if absent:
        computed = " It takes what preprocessing_fn makes of the data." if card.preprocessing == "outside" else ""
        raise InputError(
            f"{where} has {', '.join(given) or 'nothing'}, but no {', '.join(absent)}, which the model takes.{computed}"
        )
    columns = {tensor.name: _column(given[tensor.name], where, tensor) for tensor in card.inputs}
    counts = {name: len(column) for name, column in columns.items()}
    if len({*counts.values()}) > 1:
        raise InputError(f"{where} has different numbers of values: {counts}.")
    return columns


def _column(values: Any, where: str, tensor: Tensor) -> NDArray[Any]:
    shape = [-1 if size is None else size for size in tensor.shape[1:]]
    real = tensor.scale is not None or tensor.dtype.startswith("float")
    try:
        held = np.array(values, np.float32 if real else tensor.dtype)
        if not real and (held != np.array(values, np.float64)).any():
            raise ValueError("got fractions")
        return held.reshape(len(values), *shape)
    except (TypeError, ValueError, OverflowError) as error:
        kind = "numbers" if real else "whole numbers"
        size = " x ".join("any" if each < 0 else str(each) for each in shape) or "1"
        raise InputError(
            f"{tensor.name} in {where} is not {size} {kind} a row, as the model takes it: {error}."
        ) from error


def _named(card: Card) -> str:
    return ", ".join(tensor.name for tensor in card.inputs)
