"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[Path, typer.Option("--root", help="Folder for artifacts, metadata and served models.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
RunId = Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's id; without it, the latest run.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override a field, such as --set trainer.epochs=3; may be repeated.")
]
Span = Annotated[
    int | None, typer.Option("--span", help="The last span of the data; without it, the newest one that is there.")
]
To = Annotated[
    str | None, typer.Option("--to", metavar="NODE", help="The last one; without it, all that depend on it.")
]
PipelinePath = Annotated[str, typer.Argument(help="Folder with a pipeline.yaml, or the YAML file.")]

DEFAULT_ROOT = Path("output")
