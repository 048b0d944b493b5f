"""The verb `predict`: asks a .tflite file, as an app would, by what the file says of itself. Imports no TensorFlow."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from cli.options import Json
from cli.quiet import quiet
from cli.style import number
from components.quantizer.card import Card

_MOST_NAMED = 3


def predict(
    model: Annotated[Path, typer.Argument(help="A model.tflite that `slipway run` made.")],
    files: Annotated[
        list[str],
        typer.Argument(
            help='Rows: a .csv file; a .json file, or - for standard input, with {"instances": [...]} or {"inputs": '
            "{...}} as TensorFlow Serving takes them; or images."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Ask a quantized model about rows or images."""
    from cli.rows import read_rows
    from components.quantizer.interpreter import TFLite

    card = Card.of(model)
    rows = read_rows(files, card)
    with quiet(Path(os.devnull)):  # LiteRT says what it does
        predictions = TFLite(model.read_bytes()).predict(rows)
    names = card.class_names or [str(column) for column in range(predictions.shape[1])]
    if as_json:
        typer.echo(json.dumps({"names": names, "predictions": predictions.tolist()}))
        return
    for row in predictions:
        typer.echo(_line(names, row))


def _line(names: Sequence[str], row: NDArray[Any]) -> str:
    """The greatest first, such as `7 0.9883  9 0.0078  4 0.0039`."""
    order = np.argsort(-row, kind="stable")[:_MOST_NAMED]
    return "  ".join(f"{names[column]} {number(float(row[column]))}" for column in order)
