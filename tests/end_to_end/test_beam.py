"""The taxi example, all of whose Beam nodes work, by each way that Beam has of running it: the same comes out."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.beam_engine import engine
from tests.end_to_end.conftest import Project

ROWS = 4000


def came_out(project: Project, *settings: str) -> tuple[object, ...]:
    """Nodes with the types of what they made (a first run has no baseline), metrics, the quantized model's accuracy."""
    done = project.run("--force", *(part for setting in settings for part in ("--set", setting)))
    assert done.returncode == 0, done.stdout + done.stderr
    shown = project.show()
    nodes = {node["id"]: sorted(made["type"] for made in node["artifacts"]) for node in shown["nodes"]}
    del nodes["Baseline"]
    return nodes, shown["metrics"], shown["quantized"]["accuracy"]


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_taxi_comes_to_the_same_by_each_way(copy_example: Callable[[str], Project], tmp_path: Path) -> None:
    taxi = copy_example("taxi")
    taxi.edit("prepare_data.py", 'drop_columns("tips")', f'drop_columns("tips").slice(0, {ROWS})')
    taxi.edit("pipeline.yaml", "epochs: 8", "epochs: 2")
    for bound in ("auc: {min: 0.85, min_change: -0.02}", "binary_accuracy: {min: 0.8}"):
        taxi.edit("pipeline.yaml", bound, f"{bound.partition(':')[0]}: {{min: 0.5}}")
    taxi.edit("pipeline.yaml", "max_drop: 0.005", "max_drop: 0.05")
    here = came_out(taxi)
    assert came_out(taxi, "beam.workers=2") == here
    assert came_out(taxi, "runner=beam") == here
    with engine(tmp_path) as args:
        assert came_out(taxi, f"beam.args={args}") == here
    listed = json.loads(taxi.slipway("runs", "--json").stdout)
    assert [run["runner"] for run in listed] == ["local", "beam", "local", "local"]
