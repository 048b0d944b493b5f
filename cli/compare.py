"""Verbs that relate things to each other, from the metadata alone: `diff` of runs, `lineage` of an artifact."""

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from cli.options import DEFAULT_ROOT, Json, Root
from lineage.ancestry import Ancestor, ancestry
from lineage.diff import differences
from lineage.runs import find_run
from lineage.store import open_store

_WIDE = 400  # a path is not to be cut to the width of the terminal


def diff(
    first: Annotated[str, typer.Argument(metavar="RUN", help="A run's id.")],
    second: Annotated[str, typer.Argument(metavar="RUN", help="Another's.")],
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Show in what two runs differ: config, code, data, versions and metrics."""
    store = open_store(root)
    runs = [find_run(store, root.absolute(), run_id) for run_id in (first, second)]
    found = differences(*runs)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return
    if not found:
        typer.echo(f"{first} and {second} are of the same inputs and have the same metrics.")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("", "", *(run.id for run in runs)):
        table.add_column(column, no_wrap=not column, overflow="fold")
    for one in found:
        table.add_row(one.part, one.name, _short(one.first), _short(one.second))
    Console(soft_wrap=True).print(table, highlight=False)


def lineage(
    artifact: Annotated[str, typer.Argument(help="An artifact's id, a path in its folder, or a served version's.")],
    root: Root = DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Show what an artifact is made of, back to the data, and which runs made it."""
    found = ancestry(open_store(root), artifact)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found), indent=2))
        return
    Console(width=_WIDE).print(_tree(found, set()), highlight=False)


def _tree(artifact: Ancestor, shown: set[int]) -> Tree:
    made = f" by {artifact.node} of {artifact.run}" if artifact.node else ""
    tree = Tree(f"[bold]{artifact.type}[/] {artifact.id}{made}  [dim]{artifact.uri}[/]")
    for one in artifact.inputs:
        if one.id in shown:
            tree.add(f"{one.type} {one.id}, as above")
        else:
            tree.add(_tree(one, shown))
    shown.add(artifact.id)
    return tree


def _short(value: str) -> str:
    """Of a fingerprint, the beginning tells it from another."""
    return value[:12] if len(value) == 64 else value
