"""Verbs for schedulers: `compile` a pipeline; `begin` a run, run each `node`, `end` it, in processes of their own."""

import json
import os
import signal
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from cli.options import DEFAULT_ROOT, Json, Overrides, PipelinePath, Root, Span, To
from cli.outcome import print_outcome, report_of
from cli.progress import watch
from cli.quiet import quiet
from cli.scratch import scratch
from lineage.outcome import ExitCode, InputError, State
from lineage.store import COMPILED, LOG, REPORT, SCRATCH, run_folder
from pipeline import checks, spans
from pipeline.config import load
from pipeline.prepare import prepare
from runners import beam_image
from runners.kubeflow import check as kubeflow_checks
from runners.parent import end_with_parent

Target = Literal["airflow", "kubeflow", "beam"]
CompiledFolder = Annotated[Path, typer.Argument(metavar="COMPILED", help="Folder that `slipway compile` wrote.")]
ScheduledRun = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run: letters, digits, dots, dashes.")]
Runner = Annotated[str, typer.Option("--runner", help="The scheduler's name, for the record.")]
First = Annotated[str | None, typer.Option("--from", metavar="NODE", help="Run only this node and those after it.")]
Base = Annotated[
    str | None,
    typer.Option("--base", metavar="RUN", help="Where the nodes before are taken from; else the latest run."),
]
Nodes = Annotated[list[str], typer.Argument(metavar="NODE...", help="Ids of the nodes.")]

_EXIT_CODES = {
    State.COMPLETE: ExitCode.DONE,
    State.FAILED: ExitCode.WORK_FAILED,
    State.REFUSED: ExitCode.GATE_REFUSED,
}


def compile(  # noqa: A001 - the field's word for it
    pipeline: PipelinePath,
    to: Annotated[Target, typer.Option("--to", help="The scheduler; beam: the image of Beam's workers.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write to.")],
    root: Root = DEFAULT_ROOT,
    override: Overrides = None,
) -> None:
    """Write what a scheduler needs to run a pipeline, again and again."""
    config = load(pipeline, tuple(override or ()))
    prepare(config)
    if to == "kubeflow":
        kubeflow_checks.check(config, root.absolute())
    checks.check(spans.resolve(config, root.absolute()))
    if to == "beam":
        typer.echo(f"{beam_image.write(output.absolute())}: build it, push it, and name it in beam.args.")
        return
    with quiet(Path(os.devnull)):
        # TFX and TensorFlow take seconds to import, and write to the terminal
        if to == "kubeflow":
            from runners.kubeflow import write as kubeflow

            kubeflow.write(config, root.absolute(), output.absolute())
            said = str(output)
        else:
            from runners import airflow, compiled

            written = compiled.write(config, root.absolute(), output.absolute())
            dag_file = airflow.write_dag(written, output.absolute())
            said = f"{dag_file}: link or copy it into the dags folder of Airflow."
    typer.echo(said)


def begin(
    compiled: CompiledFolder,
    run: ScheduledRun,
    runner: Runner = "scheduler",
    first: First = None,
    last: To = None,
    base: Base = None,
    span: Span = None,
    as_json: Json = False,
) -> None:
    """Begin a run of a compiled pipeline, for a scheduler; repeated, it does nothing."""
    end_with_parent(signal.SIGTERM)  # a scheduler that was killed, and begins again, meets nobody at work
    with quiet(Path(os.devnull)):
        from runners import scheduled
        from runners.compiled import read

        begun = scheduled.begin(read(compiled.absolute()), run, runner, scheduled.Part(first, last, base), span)
    report = run_folder(begun.root, run) / REPORT
    found = {"run": run, "nodes": begun.node_ids, "report": str(report)}
    typer.echo(json.dumps(found) if as_json else f"Began {run} of {', '.join(begun.node_ids)}.")


def node(run: ScheduledRun, nodes: Nodes, root: Root = DEFAULT_ROOT) -> None:
    """Run nodes of a run that a scheduler has begun, unless they have run."""
    end_with_parent(signal.SIGTERM)
    folder = _begun_folder(root.absolute(), run)
    with quiet(folder / LOG) as terminal, scratch(folder / SCRATCH / nodes[0]):
        with watch(Console(file=terminal, soft_wrap=True)) as observer:
            from runners import scheduled

            failure = scheduled.node(root.absolute(), run, nodes, observer)
        if failure:
            print(failure.message, file=terminal)
    raise typer.Exit(failure.exit_code if failure else 0)


def end(run: ScheduledRun, root: Root = DEFAULT_ROOT) -> None:
    """Record how a scheduled run ended, and write its report; the exit code is that of `slipway run`."""
    folder = _begun_folder(root.absolute(), run)
    with quiet(folder / LOG):
        from runners.ended import end as ended_as  # it draws the report, for which it imports matplotlib

        ended = ended_as(root.absolute(), run)
    print_outcome(ended, report_of(ended), Console(soft_wrap=True))
    raise typer.Exit(_EXIT_CODES[ended.state])


def _begun_folder(root: Path, run: str) -> Path:
    folder = run_folder(root, run)
    if not (folder / COMPILED).is_file():
        raise InputError(f"No run {run} has begun under {root}. Start with `slipway begin`.")
    return folder
