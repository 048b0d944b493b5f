"""Puts a run's page together: gathers what there is to show, fills the template, writes it in one move."""

import math
from pathlib import Path

import jinja2
from markupsafe import Markup

from lineage.findings import Findings, find
from lineage.records import EvaluationRecord
from lineage.report import metrics, quantized, wording
from lineage.report.candidates import size_against_metric
from lineage.report.curves import curves
from lineage.report.graph import HEIGHT, WIDTH, lay_out
from lineage.report.tables import confused, confusion, node_rows, slice_table
from lineage.runs import Run
from lineage.summary import pushed_folder
from lineage.units import latency

_TEMPLATE = "report.html.j2"


def render(run: Run, out: Path) -> None:
    """Writes the report of a run, in whatever state it is, as one HTML file that refers to nothing outside itself.

    The file appears whole or not at all, in a folder that exists. What the run did not come to is left out of it.

    Raises:
      OSError: the file cannot be written.

    Example:
      render(find_run(store, root, None), Path("report.html"))
    """
    html = _environment().get_template(_TEMPLATE).render(_content(run, find(run)))
    partial = out.with_name(f"{out.name}.partial")
    partial.write_text(html, encoding="utf-8")
    partial.rename(out)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=wording.size,
        duration=wording.duration,
        moment=wording.moment,
        metric_title=metrics.title,
        latency=latency,
    )
    environment.globals.update(
        show=metrics.show,
        show_change=metrics.show_change,
        size_against_float=quantized.size_against_float,
        drop_against_float=quantized.drop_against_float,
        allowed_drop=quantized.allowed_drop,
        gain_over=quantized.gain_over,
        used_of_allowed=quantized.used_of_allowed,
        taken_by_xnnpack=quantized.taken_by_xnnpack,
        wilson=metrics.wilson,
        has_interval=metrics.has_interval,
        isfinite=math.isfinite,
    )
    return environment


def _content(run: Run, findings: Findings) -> dict[str, object]:
    """The names that the template uses."""
    pushed = pushed_folder(run)
    evaluation = findings.evaluation
    matrix = evaluation.confusion_matrix if evaluation else None
    return {
        "run": run,
        "found": findings,
        "verdict": wording.verdict(run),
        "seconds": run.seconds,
        "pushed": pushed,
        "tflite": _tflite(Path(pushed)) if pushed else [],
        "whole": _whole(evaluation) if evaluation else None,
        "curves": [Markup(svg) for svg in curves(findings.training)] if findings.training else [],
        "tried": Markup(size_against_metric(findings.quantization)) if findings.quantization else "",
        "slices": slice_table(evaluation) if evaluation else None,
        "matrix": confusion(matrix) if matrix else None,
        "confused": confused(matrix) if matrix else [],
        "nodes": node_rows(run),
        "graph": lay_out(run),
        "box": (WIDTH, HEIGHT),
    }


def _whole(record: EvaluationRecord) -> tuple[str, float, int] | None:
    """Name and value of the first metric on the whole split, and its number of examples."""
    metric = metrics.primary(record.overall)
    examples = next((part.examples for part in record.slices if not part.name), 0)
    return (metric, record.overall[metric], examples) if metric else None


def _tflite(folder: Path) -> list[tuple[Path, int]]:
    """The TFLite models among the pushed files, with their bytes."""
    return [(path, path.stat().st_size) for path in sorted(folder.rglob("*.tflite"))]
