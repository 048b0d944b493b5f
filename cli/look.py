"""Verbs that look at what has run, from the metadata alone: `runs`, `show`, `report`. None imports TensorFlow."""

from pathlib import Path
from typing import Annotated

import pydantic
import typer
from rich.console import Console
from rich.table import Table

from cli.options import DEFAULT_ROOT, Json, Root, RunId
from cli.outcome import print_nodes, print_outcome, report_of
from cli.style import STYLES, duration
from lineage.outcome import InputError
from lineage.runs import find_run, list_runs
from lineage.store import REPORT, make_run_folder, open_store
from lineage.summary import Summary, summarize


def runs(root: Root = DEFAULT_ROOT, as_json: Json = False) -> None:
    """List the runs, newest first."""
    found = list_runs(open_store(root), root.absolute())
    if as_json:
        summaries = [summarize(run) for run in found]
        typer.echo(pydantic.TypeAdapter(list[Summary]).dump_json(summaries, indent=2).decode())
        return
    table = Table(box=None, pad_edge=False)
    for column in ("run", "runner", "state", "started (UTC)", "time"):
        table.add_column(column, justify="right" if column == "time" else "left")
    for run in found:
        state = f"[{STYLES[run.state]}]{run.state}[/]"
        table.add_row(run.id, run.runner, state, f"{run.started:%Y-%m-%d %H:%M:%S}", duration(run.seconds))
    Console(soft_wrap=True).print(table, highlight=False)


def show(run: RunId = None, root: Root = DEFAULT_ROOT, as_json: Json = False) -> None:
    """Show a run: its nodes, what came out, where it lies."""
    found = find_run(open_store(root), root.absolute(), run)
    if as_json:
        typer.echo(summarize(found).model_dump_json(indent=2))
        return
    console = Console(soft_wrap=True)
    print_nodes(found, console)
    print_outcome(found, report_of(found), console)


def report(
    run: RunId = None,
    root: Root = DEFAULT_ROOT,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The HTML file to write; without it, report.html in the run's folder."),
    ] = None,
) -> None:
    """Write the report of a run as one self-contained HTML page."""
    from lineage.report import render  # matplotlib: half a second that the other verbs need not wait

    found = find_run(open_store(root), root.absolute(), run)
    out = (output or make_run_folder(root, found.id) / REPORT).absolute()
    if out.is_dir():
        raise InputError(f"{out} is a folder. Name the HTML file to write with -o.")
    try:
        render(found, out)
    except OSError as error:
        raise InputError(
            f"The report cannot be written to {out}: {error.strerror}. Name a file in a folder that exists with -o."
        ) from error
    typer.echo(str(out))
