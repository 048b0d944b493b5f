"""A user's own data with the least there is: a Parquet file, one YAML, one Python file, no schema, no preprocessing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from lineage.records import EvaluationRecord
from tests.end_to_end.conftest import NOT_MEASURED, Project
from tests.runners.kubeflow.cluster import Cluster, as_fork, as_process

YAML = """
name: line
task: regression
data: {format: parquet, path: "*.parquet", label: y}
trainer: {epochs: 30, batch_size: 32, early_stopping: 0}
evaluator: {slices: [kind], thresholds: {mean_absolute_error: {max: 0.1}}}
quantizer: {max_drop: 0.1}
"""
MODEL = """
import keras

def build_model(inputs_spec, hp):
    inputs = {name: keras.Input(spec.shape[1:], name=name) for name, spec in inputs_spec.items()}
    joined = keras.layers.Concatenate()([inputs["a"], inputs["b"], inputs["kind"]])
    return keras.Model(inputs, keras.layers.Dense(1)(joined))

def optimizer(hp):
    return keras.optimizers.Adam(0.05)
"""


def make_line(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Numbers that a linear model fits."""
    folder = tmp_path_factory.mktemp("line")
    random = np.random.default_rng(0)
    a, b, kind = random.uniform(-1, 1, 1000), random.uniform(-1, 1, 1000), random.integers(0, 2, 1000).astype(float)
    columns = {"a": a, "b": b, "kind": kind, "y": 2 * a - b + 0.5 * kind}
    parquet.write_table(pa.table(columns), folder / "line.parquet")
    (folder / "pipeline.yaml").write_text(YAML)
    (folder / "model.py").write_text(MODEL)
    return Project(folder, tmp_path_factory.mktemp("line_root"))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_line(tmp_path_factory)


def test_a_regression_on_parquet_passes_and_its_schema_is_written_for_review(line: Project) -> None:
    done = line.run()
    assert done.returncode == 0, done.stdout + done.stderr
    shown = line.show()
    assert shown["metrics"]["mean_absolute_error"] < 0.1
    assert shown["quantized"]["metric"] == "mean_absolute_error"
    assert "Transform" not in {node["id"] for node in shown["nodes"]}
    schema = Path(line.root, "runs", shown["run"], "schema.pbtxt")
    assert 'name: "kind"' in schema.read_text()
    assert str(schema) in done.stdout


def imported(folder: Path, project: Project) -> list[dict[str, Any]]:
    """The runs that Kubeflow has left in a folder, oldest first, after `slipway import`."""
    for file in sorted(folder.iterdir()):
        done = project.slipway("import", str(file))
        assert done.returncode == 0, done.stdout + done.stderr
    return list(reversed(json.loads(project.slipway("runs", "--json").stdout)))


def test_kubeflow_runs_the_same_nodes_to_the_same_artifacts_and_metrics_and_then_finds_all_in_the_cache(
    line: Project, tmp_path: Path
) -> None:
    package = line.compile_for_kubeflow(tmp_path, *NOT_MEASURED)
    cluster = Cluster(tmp_path, as_fork)
    done = cluster.run(package)
    shown = line.show()
    here = {node["id"]: sorted(artifact["type"] for artifact in node["artifacts"]) for node in shown["nodes"]}
    there = {name: sorted(task.types) for name, task in done.items()}
    assert there.pop("Begin") == there.pop("Record") == [], "the tasks that are no nodes"
    assert there == here
    record = EvaluationRecord.load(done["Evaluator"].artifacts["evaluation"].uri)
    assert record is not None
    assert record.overall == shown["metrics"]
    assert Path(tmp_path, "served", "line", "1", "model.tflite").exists()
    again = cluster.run(package)
    assert [name for name, task in again.items() if not task.cached] == ["Begin", "Pusher", "Record"]
    first, second = imported(tmp_path / "runs", Project(line.folder, tmp_path / "root"))
    assert [(run["runner"], run["state"], run["metrics"]) for run in (first, second)] == [
        ("kubeflow", "COMPLETE", shown["metrics"])
    ] * 2
    assert [node["id"] for node in first["nodes"]] == [node["id"] for node in shown["nodes"]]
    assert {node["state"] for node in first["nodes"]} == {"COMPLETE"}
    assert {node["id"] for node in second["nodes"] if node["state"] == "COMPLETE"} == {"Pusher"}
    assert first["pushed"] == second["pushed"] == str(tmp_path / "served" / "line" / "1")
    assert first["quantized"]["bytes"] == shown["quantized"]["bytes"]
    (tmp_path / "image" / "model.py").write_text(MODEL.replace("0.05", "0.06"))
    other = Cluster(tmp_path / "other", as_process)
    assert other.try_task(package, "Begin", {}) == 2
    assert f"The image has another code in {tmp_path}/image than the pipeline was compiled for." in other.log("Begin")


def test_a_model_below_its_threshold_is_refused_and_nothing_is_pushed(line: Project) -> None:
    done = line.run("--set", "evaluator.thresholds.mean_absolute_error.max=0.0")
    assert done.returncode == 3
    assert "mean_absolute_error" in done.stdout
    assert "at most 0 is required" in done.stdout
    states = line.states()
    assert states["Evaluator"] == "REFUSED"
    assert states["Pusher"] == "PENDING"
    assert line.versions() == ["1"]


def test_a_blessed_model_that_cannot_read_the_data_is_not_compared_with(line: Project) -> None:
    path = line.folder / "line.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.rename_columns(["first", "b", "kind", "y"]), path)
    line.edit("model.py", 'inputs["a"]', 'inputs["first"]')
    done = line.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The blessed model cannot read this data and is not compared with" in done.stdout
    assert line.versions() == ["1", "2"]


def test_an_error_in_the_users_code_is_exit_1_and_starts_with_their_line(line: Project) -> None:
    line.edit("model.py", "keras.optimizers.Adam(0.05)", "keras.optimizers.Adam(1 / 0)")
    done = line.run()
    assert done.returncode == 1
    assert "model.py, line 10: return keras.optimizers.Adam(1 / 0)" in done.stdout
    assert "ZeroDivisionError" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert line.states()["Trainer"] == "FAILED"
