"""Writes the DAG file of a compiled pipeline. Nothing of Airflow is imported: it has an environment of its own."""

import json
import sysconfig
from pathlib import Path
from typing import Any

import jinja2

from lineage.outcome import InputError
from pipeline.data import SPAN
from pipeline.ir import edges, node_ids
from runners.airflow.tasks import tasks
from runners.compiled import Compiled


def write_dag(compiled: Compiled, folder: Path) -> Path:
    """Writes NAME_dag.py into the folder that `runners.compiled.write` wrote; returns its path.

    Raises:
      InputError: it cannot be written, or `airflow.span` is set for data without spans.
    """
    if compiled.config.airflow.span and not compiled.config.data.has_spans:
        raise InputError(f"airflow.span is set, but data.path is {compiled.config.data.path}: expected {SPAN} in it.")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Python, in which values are written as literals
    )
    environment.filters["literal"] = _literal
    text = environment.get_template("dag.py.j2").render(
        name=compiled.config.name,
        slipway=str(Path(sysconfig.get_path("scripts"), "slipway")),
        compiled=str(folder),
        root=str(compiled.root),
        airflow=compiled.config.airflow,
        spans=compiled.config.data.has_spans,
        nodes=node_ids(compiled.ir),
        tasks=tasks(node_ids(compiled.ir), edges(compiled.ir), compiled.config.nodes),
    )
    path = folder / f"{compiled.config.name}_dag.py"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"The DAG file cannot be written to {path}: {error.strerror}.") from error
    return path


def _literal(value: Any) -> str:
    """Python source, with double quotes as a formatter would have them."""
    return repr(value) if value is None or isinstance(value, bool) else json.dumps(value)
