"""Verbs for what is kept: `gc` removes old outputs, `export` and `import` move a run to another root folder."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import DEFAULT_ROOT, Root, RunId
from lineage.bundle import pack, unpack
from lineage.garbage import garbage, remove
from lineage.runs import find_run
from lineage.store import create_store, open_store


def gc(
    keep: Annotated[int, typer.Option("--keep", min=1, help="Runs of each pipeline that keep all they have.")],
    delete: Annotated[bool, typer.Option("--delete", help="Remove it; without this, only say what would go.")] = False,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Remove outputs of old runs, but of no pushed or blessed model, and nothing that a kept run has."""
    store = open_store(root)
    with garbage(store, root.absolute(), keep) as found:
        for artifact in found.artifacts:
            typer.echo(artifact.uri)
        if delete:
            remove(store, found)
    what = f"{len(found.artifacts)} outputs of {len(found.runs)} runs, {found.bytes / 1e6:.1f} MB"
    typer.echo(f"Removed {what}." if delete else f"{what} would go; --delete removes them.")


def export_run(
    run: RunId = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The .tar file; by default RUN.tar.")] = None,
    root: Root = DEFAULT_ROOT,
) -> None:
    """Write a run to one file, with its metadata and all that it has made."""
    store = open_store(root)
    found = find_run(store, root.absolute(), run)
    path = (output or Path(f"{found.id}.tar")).absolute()
    pack(store, root.absolute(), found, path)
    typer.echo(str(path))


def import_run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .tar file that `slipway export` wrote.")],
    root: Root = DEFAULT_ROOT,
) -> None:
    """Add a run that was exported elsewhere to the runs under a root folder."""
    typer.echo(f"Imported {unpack(create_store(root), root.absolute(), file)}.")
