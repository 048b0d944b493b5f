"""Verbs that write a pushed model in another form: `tfjs`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.quiet import quiet
from lineage.outcome import InputError
from serving.versions import find_versions


def tfjs(
    model: Annotated[Path, typer.Argument(help="A folder that models are pushed to, or one version in it.")],
    folder: Annotated[Path, typer.Argument(help="The new folder to write model.json and the weights to.")],
) -> None:
    """Write a pushed model for TensorFlow.js, as float32; in a browser its uint8 .tflite is smaller and faster."""
    saved_model = _saved_model(model)
    with quiet(Path(os.devnull)):
        from serving.tfjs import export_tfjs  # TensorFlow takes seconds to import, and writes to the terminal

        export_tfjs(saved_model, folder)
    typer.echo(str(folder / "model.json"))


def _saved_model(model: Path) -> Path:
    """The version itself, or the newest one."""
    versions = find_versions(model)
    newest = versions[max(versions)] if versions else model
    if not (newest / "saved_model.pb").is_file():
        raise InputError(f"There is no SavedModel in {newest}. Name a folder that models are pushed to, or a version.")
    return newest
