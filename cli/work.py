"""Verbs that do work: `run` a pipeline, `check` it before anything runs."""

import typer
from rich.console import Console

from cli.options import DEFAULT_ROOT, Overrides, PipelinePath, Root
from cli.outcome import print_outcome
from cli.progress import lines, watch
from cli.quiet import quiet
from cli.scratch import scratch
from lineage.store import SCRATCH, make_run_folder
from pipeline import checks
from pipeline.config import Config, load
from pipeline.prepare import prepare
from runners.plan import plan


def run(pipeline: PipelinePath, root: Root = DEFAULT_ROOT, override: Overrides = None) -> None:
    """Run a pipeline; what is unchanged comes from the cache, a killed run is continued."""
    config = load(pipeline, tuple(override or ()))
    console = Console(soft_wrap=True)
    if checks.must_be_prepared(config):
        console.print(f"Making the data with {config.resolve(config.data.prepare or '')} ...", highlight=False)
    prepare(config)
    checks.check(config)
    planned = plan(config, root.absolute())
    log_file = make_run_folder(planned.root, planned.run_id) / "log.txt"
    try:
        with quiet(log_file) as terminal, scratch(planned.folder / SCRATCH):
            console = Console(file=terminal, soft_wrap=True)
            verb = "Continuing" if planned.continued else "Running"
            console.print(f"{verb} [bold]{planned.run_id}[/] (log: {log_file})", highlight=False)
            with watch(console) as observer:
                # TFX and TensorFlow take seconds to import, and write to the terminal while they do.
                from runners import local

                result = local.run(planned, observer)
    except KeyboardInterrupt:
        typer.echo("\nInterrupted. The same `slipway run` again goes on where it was.", err=True)
        raise typer.Exit(130) from None
    print_outcome(result.run, result.report, Console(soft_wrap=True))
    raise typer.Exit(result.exit_code)


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
    checks.check(config)
    typer.echo(f"{config.name}: {_found(config)}")


def _found(config: Config) -> str:
    return f"config, code, schema and data ({', '.join(checks.data_patterns(config))}) are in order."
