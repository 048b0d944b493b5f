"""A run in a few lines of text: how it ended, what came out, where it lies."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from cli.style import STYLES, duration, number
from lineage.outcome import State
from lineage.records import FLOAT, SAVED_MODEL
from lineage.runs import Run
from lineage.store import LOG, REPORT
from lineage.summary import QuantizationSummary, Summary, summarize
from lineage.units import latency

_CONTROL = "the same fine-tuning, quantized when it had ended"


def print_outcome(run: Run, report: Path | None, console: Console) -> None:
    """Prints verdict, headline numbers and where to look."""
    summary = summarize(run)
    console.print(f"\n[{STYLES[run.state]} bold]{run.state}[/] {run.id} {duration(run.seconds)}", highlight=False)
    if run.reason:
        console.print(run.reason, highlight=False, markup=False)
    facts = _facts(run, summary, report)
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:  # no table: it would cut a path to the width of the terminal
        console.print(f"{name:<{width}}  {value}", highlight=False, markup=False)


def report_of(run: Run) -> Path | None:
    """The file of its report, where there is one."""
    path = run.folder / REPORT
    return path if path.exists() else None


def print_nodes(run: Run, console: Console) -> None:
    """Prints a row a node."""
    table = Table(box=None, pad_edge=False)
    for column in ("node", "state", "time"):
        table.add_column(column, justify="right" if column == "time" else "left")
    for node in run.nodes:
        table.add_row(node.id, f"[{STYLES[node.state]}]{node.state}[/]", duration(node.seconds))
    console.print(table, highlight=False)


def _facts(run: Run, summary: Summary, report: Path | None) -> list[tuple[str, str]]:
    facts = [(f"test {name}", number(value)) for name, value in (summary.metrics or {}).items()]
    facts += _quantized(summary.quantized) if summary.quantized else []
    facts += [("custom ops", summary.custom_ops)] if summary.custom_ops else []
    if summary.pushed:
        facts.append(("served version", summary.pushed))
        tflite = Path(summary.pushed) / "model.tflite"
        facts += [("TFLite model", str(tflite))] if tflite.exists() else []
    if run.state in (State.FAILED, State.INTERRUPTED):
        facts.append(("log", str(run.folder / LOG)))
    return [*facts, *([("report", str(report))] if report else [])]


def _quantized(found: QuantizationSummary) -> list[tuple[str, str]]:
    """Of the file that was taken, after what was tried before it and why that was refused."""
    return [
        *((f"{mode} refused", "; ".join(reasons)) for mode, reasons in found.refused.items()),
        (f"{found.mode} {found.metric}", f"{number(found.accuracy)} (float {number(found.float_accuracy)})"),
        *([(f"{found.mode} control", f"{number(found.control.value)} ({_CONTROL})")] if found.control else []),
        (f"{found.mode} size", f"{found.bytes / 1000:.0f} kB (float {found.float_bytes / 1000:.0f} kB)"),
        *_measured(found),
    ]


def _measured(found: QuantizationSummary) -> list[tuple[str, str]]:
    """Latency on one thread and memory of the file that was taken, beside the others that everybody knows."""
    by_name = {one.model: one for one in found.measured}
    if not by_name:
        return []
    others = [by_name[name] for name in (FLOAT, SAVED_MODEL)]
    taken = by_name[found.mode]
    slower = ", ".join(f"{one.model} {latency(one.latencies[0].median)}" for one in others)
    larger = ", ".join(f"{one.model} {one.memory / 1e6:.1f} MB" for one in others)
    return [
        (f"{found.mode} latency", f"{latency(taken.latencies[0].median)} ({slower})"),
        (f"{found.mode} memory", f"{taken.memory / 1e6:.1f} MB ({larger})"),
    ]
