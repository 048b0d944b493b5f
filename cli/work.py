"""Verbs that do work: `run` a pipeline, `rerun` a part of it, `reproduce` one, `check` it before anything runs."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console

from cli.lean import leave_out_tensorflow
from cli.options import DEFAULT_ROOT, Overrides, PipelinePath, Root, RunId, Span, To
from cli.outcome import print_outcome, report_of
from cli.progress import lines, watch
from cli.quiet import quiet
from cli.scratch import scratch
from lineage.diff import differences
from lineage.outcome import ExitCode, InputError
from lineage.runs import Run, find_run, latest_run
from lineage.store import LOG, SCRATCH, make_run_folder, open_store
from pipeline import checks, spans
from pipeline.config import Config, load, loads
from pipeline.fingerprint import run_fingerprint, run_inputs
from pipeline.nodes import PUSHER
from pipeline.prepare import prepare
from runners.partial import partial
from runners.plan import Plan, plan, up_to_date

if TYPE_CHECKING:
    from runners.local import Result

Force = Annotated[bool, typer.Option("--force", help="Run every node, whatever is up to date or in the cache.")]
Only = Annotated[
    str | None, typer.Option("--only", metavar="NODE", help="Run one node on what the latest run made above it.")
]
Watch = Annotated[
    float | None,
    typer.Option("--watch", metavar="SECONDS", min=1, help="Go on: run whenever there is a new span, or other data."),
]
From = Annotated[str, typer.Option("--from", metavar="NODE", help="The first node to run again.")]


def run(
    pipeline: PipelinePath,
    root: Root = DEFAULT_ROOT,
    override: Overrides = None,
    force: Force = False,
    only: Only = None,
    span: Span = None,
    watch_seconds: Watch = None,
) -> None:
    """Run a pipeline, unless nothing has changed; what is unchanged comes from the cache, a killed run is continued."""
    given = load(pipeline, tuple(override or ()))
    if watch_seconds is not None:
        _watch(given, root.absolute(), watch_seconds)
    config = prepared(given, root, span)
    inputs = run_inputs(config)
    part = partial(_latest(config, root), only, only) if only else None
    if not (force or part) and (current := up_to_date(config, root.absolute(), inputs)):
        typer.echo(f"Up to date: nothing has changed since {current.id}. --force runs it all the same.")
        print_outcome(current, report_of(current), Console(soft_wrap=True))
        return
    planned = plan(config, root.absolute(), inputs, force=force, partial=part)
    if planned.made:
        leave_out_tensorflow()
    _finish(_execute(planned))


def _watch(config: Config, root: Path, seconds: float) -> NoReturn:
    """Runs whenever something has changed since the last run, however that ended; until Ctrl-C."""
    last = ""
    while True:
        current = prepared(config, root)
        inputs = run_inputs(current)
        fingerprint = run_fingerprint(inputs)
        if fingerprint != last and not up_to_date(current, root, inputs):
            result = _execute(plan(current, root, inputs))
            print_outcome(result.run, result.report, Console(soft_wrap=True))
        if fingerprint != last:
            typer.echo(f"Waiting for new data; looking every {seconds:g} s.")
        last = fingerprint
        try:
            time.sleep(seconds)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


def rerun(
    run: RunId = None, *, first: From, last: To = None, root: Root = DEFAULT_ROOT, override: Overrides = None
) -> None:
    """Run the nodes of a run again from one on; the others are taken from that run, and so is the config."""
    base = find_run(open_store(root), root.absolute(), run)
    part = partial(base, first, last)
    config = prepared(loads(base.config, base.place, tuple(override or ())), root)
    _finish(_execute(plan(config, root.absolute(), run_inputs(config), partial=part)))


def reproduce(run: RunId = None, root: Root = DEFAULT_ROOT) -> None:
    """Run everything again that a run did, on the same inputs, and compare the metrics to the last digit."""
    base = find_run(open_store(root), root.absolute(), run)
    config = prepared(loads(base.config, base.place), root)
    inputs = run_inputs(config)
    changed = differences(base, dataclasses.replace(base, inputs=inputs))
    if changed:
        told = "\n".join(f"- {one.part} {one.name}: {one.first}, now {one.second}" for one in changed)
        raise InputError(f"{base.id} cannot be reproduced, since its inputs are no longer what they were:\n{told}")
    result = _execute(plan(config, root.absolute(), inputs, force=True))
    if result.exit_code is not ExitCode.DONE:
        _finish(result)
    differ = [one for one in differences(base, result.run) if one.part == "metrics"]
    for one in differ:
        typer.echo(f"{one.name}: {one.first} in {base.id}, {one.second} in {result.run.id}")
    typer.echo(f"{base.id} is {'not ' if differ else ''}reproduced by {result.run.id}.")
    raise typer.Exit(ExitCode.WORK_FAILED if differ else ExitCode.DONE)


def _latest(config: Config, root: Path) -> Run:
    found = latest_run(open_store(root), root.absolute(), config.name)
    if found is None:
        raise InputError(f"{config.name} has not run under {root} yet, so --only has nothing to go on. Run all of it.")
    return found


def prepared(config: Config, root: Path, span: int | None = None) -> Config:
    """Makes the data where the config says how, and checks everything that can be checked without work.

    Returns:
      The config of the run: of the spans that it takes.
    """
    if checks.must_be_prepared(config):
        place = config.resolve(config.data.prepare or "")
        Console(soft_wrap=True).print(f"Making the data with {place} ...", highlight=False)
    prepare(config)
    resolved = spans.resolve(config, root.absolute(), span)
    checks.check(resolved)
    return resolved


def _finish(result: "Result") -> None:
    print_outcome(result.run, result.report, Console(soft_wrap=True))
    raise typer.Exit(result.exit_code)


def _execute(planned: Plan) -> "Result":
    log_file = make_run_folder(planned.root, planned.run_id) / LOG
    try:
        with quiet(log_file) as terminal, scratch(planned.folder / SCRATCH):
            console = Console(file=terminal, soft_wrap=True)
            verb = "Continuing" if planned.continued else "Running"
            console.print(f"{verb} [bold]{planned.run_id}[/] (log: {log_file})", highlight=False)
            if planned.made:
                console.print(f"All but {PUSHER} is as {planned.made} has made it.", highlight=False)
            with watch(console) as observer:
                # TFX and TensorFlow take seconds to import, and write to the terminal while they do.
                from runners import local

                return local.run(planned, observer)
    except KeyboardInterrupt:
        typer.echo("\nInterrupted. The same `slipway run` again goes on where it was.", err=True)
        raise typer.Exit(130) from None


def worker(pipeline: PipelinePath, root: Root = DEFAULT_ROOT, override: Overrides = None) -> None:
    """Train with a `slipway run` on another host, as the process of the cluster that TF_CONFIG says."""
    # TFX and TensorFlow take seconds to import.
    from runners.failure import explain
    from runners.worker import own_cluster, work

    config = load(pipeline, tuple(override or ()))
    cluster = own_cluster(config)
    folder = root.absolute() / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    log_file = folder / f"{config.name}-{cluster.index}.txt"
    typer.echo(f"Worker {cluster.index} of {config.name} (log: {log_file})")
    try:
        with quiet(log_file) as terminal, lines(Console(file=terminal, soft_wrap=True)):
            work(config, root.absolute(), cluster)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Exception as error:
        failure = explain(error, str(config.resolve(config.model)))
        typer.echo(f"error: {failure.message}", err=True)
        raise typer.Exit(failure.exit_code) from None


def check(pipeline: PipelinePath, override: Overrides = None) -> None:
    """Check config, code, schema and the head of the data, in under a second; run nothing."""
    config = load(pipeline, tuple(override or ()))
    if checks.must_be_prepared(config):
        for one in (one for one in checks.CHECKS if one not in checks.DATA_CHECKS):
            one(config)
        typer.echo(f"{config.name}: fine so far; `slipway run` first makes the data with {config.data.prepare}.")
        return
    with tempfile.TemporaryDirectory() as folder:
        resolved = spans.resolve(config, Path(folder))
        checks.check(resolved)
        typer.echo(f"{config.name}: {_found(config)}")


def _found(config: Config) -> str:
    return f"config, code, schema and data ({', '.join(checks.data_patterns(config))}) are in order."
