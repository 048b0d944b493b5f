"""Entry point of the `slipway` command: the verbs, and the exit codes for what they raise."""

import importlib.metadata
import sys
import traceback
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from cli import compare, export, keep, look, predict, schedule, work
from lineage.outcome import ExitCode, GateRefused, InputError
from lineage.plain import plain

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slipway {importlib.metadata.version('slipway')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and stop.")
    ] = False,
) -> None:
    """From labelled data to a served, quantized TensorFlow model."""


app.command()(work.run)
app.command()(work.rerun)
app.command()(work.reproduce)
app.command()(work.worker)
app.command()(work.check)
app.command()(schedule.compile)
for verb in (schedule.begin, schedule.node, schedule.end):
    app.command(rich_help_panel="For schedulers")(verb)
app.command()(look.runs)
app.command()(look.show)
app.command()(look.report)
app.command()(compare.diff)
app.command()(compare.lineage)
app.command()(keep.gc)
app.command("export")(keep.export_run)
app.command("import")(keep.import_run)
app.command()(export.tfjs)
app.command()(predict.predict)


def main() -> None:
    """Runs the command; ends with 0 done, 1 the work failed, 2 the input was wrong, 3 a gate refused, 4 a crash of its
    own, 130 Ctrl-C.
    """
    try:
        app()
    except InputError as error:
        _fail(error, ExitCode.INPUT_WRONG)
    except GateRefused as error:
        _fail(error, ExitCode.GATE_REFUSED)
    except Exception:
        traceback.print_exc()
        sys.exit(ExitCode.CRASHED)  # not Python's 1: a scheduler may try again


def _fail(error: Exception, code: ExitCode) -> None:
    Console(stderr=True, soft_wrap=True).print(Text.assemble(("error: ", "bold red"), plain(str(error))))
    sys.exit(code)


if __name__ == "__main__":
    main()
