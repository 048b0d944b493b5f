"""What is different between two runs: config, code, data, versions, and what came out."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from lineage.findings import find
from lineage.runs import Run

_ABSENT = "-"


@dataclasses.dataclass(frozen=True)
class Difference:
    """A value of two runs, as text; `-` where one has none. `part` is config, code, schema, weights, data, ..."""

    part: str
    name: str
    first: str
    second: str


def differences(first: Run, second: Run) -> list[Difference]:
    """All values in which the runs differ, those that went in before those that came out.

    Example:
      differences(run, other)[0]  # Difference("config", "trainer.epochs", "3", "8")
    """
    found = []
    for part, one, other in (
        *((part, *pair) for part, pair in _inputs(first, second).items()),
        ("metrics", metrics(first), metrics(second)),
    ):
        names = [*one, *(name for name in other if name not in one)]
        found += [
            Difference(part, name, one.get(name, _ABSENT), other.get(name, _ABSENT))
            for name in names
            if one.get(name) != other.get(name)
        ]
    return found


def metrics(run: Run) -> dict[str, str]:
    """The metrics of the models that a run made, float and quantized, to the last digit."""
    findings = find(run)
    overall = findings.evaluation.overall if findings.evaluation else {}
    values = {name: repr(value) for name, value in (overall or {}).items()}
    if findings.quantization:
        values[f"{findings.quantization.mode} {findings.quantization.metric}"] = repr(findings.quantization.value)
    return values


def _inputs(first: Run, second: Run) -> dict[str, tuple[dict[str, str], dict[str, str]]]:
    one, other = _recorded(first), _recorded(second)
    parts = [*one, *(part for part in other if part not in one)]
    return {part: (_flat(one.get(part)), _flat(other.get(part))) for part in parts}


def _recorded(run: Run) -> Mapping[str, Any]:
    return run.inputs or {"config": yaml.safe_load(run.config)}


def _flat(value: Any) -> dict[str, str]:
    """Text by dotted name."""
    return dict(_leaves(value, ""))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif value not in (None, "", [], {}):
        yield name, str(value)
