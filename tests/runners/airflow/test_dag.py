"""Claims about the DAG file, without Airflow: which nodes share a task, and what the file imports and is named."""

import ast
import sys
from pathlib import Path

import pytest

from lineage.outcome import InputError
from pipeline.config import load
from pipeline.nodes import Nodes
from runners.airflow import write_dag
from runners.airflow.tasks import tasks
from runners.compiled import Compiled
from tests.runners import small
from tests.runners.small import Small

# The taxi pipeline's, as `slipway compile` has them.
TAXI = {
    "ExampleGen": [],
    "StatisticsGen": ["ExampleGen"],
    "SchemaImporter": [],
    "ExampleValidator": ["StatisticsGen", "SchemaImporter"],
    "DataGate": ["ExampleValidator"],
    "Transform": ["ExampleGen", "SchemaImporter", "DataGate"],
    "Trainer": ["Transform", "SchemaImporter", "DataGate"],
    "Baseline": ["Trainer"],
    "Evaluator": ["ExampleGen", "Trainer", "Baseline"],
    "Quantizer": ["Trainer", "Transform", "SchemaImporter", "Evaluator", "ExampleGen"],
    "InfraValidator": ["Trainer", "ExampleGen", "Quantizer"],
    "Pusher": ["Trainer", "Quantizer", "Evaluator", "InfraValidator"],
}
EDGES = [(up, down) for down, before in TAXI.items() for up in before]


def test_a_node_that_only_looks_shares_the_task_before_it() -> None:
    found = tasks(TAXI, EDGES, Nodes())
    assert [task.nodes for task in found] == [
        ["ExampleGen", "SchemaImporter"],
        ["StatisticsGen", "ExampleValidator", "DataGate"],
        ["Transform"],
        ["Trainer", "Baseline"],
        ["Evaluator"],
        ["Quantizer", "InfraValidator", "Pusher"],
    ]
    assert {task.id: set(task.upstream) for task in found} == {
        "ExampleGen": set(),
        "StatisticsGen": {"ExampleGen"},
        "Transform": {"ExampleGen", "StatisticsGen"},
        "Trainer": {"ExampleGen", "StatisticsGen", "Transform"},
        "Evaluator": {"ExampleGen", "Trainer"},
        "Quantizer": {"ExampleGen", "Transform", "Trainer", "Evaluator"},
    }


def test_a_node_of_another_pool_is_a_task_of_its_own_and_a_task_has_the_limits_of_all_its_nodes() -> None:
    settings = Nodes.model_validate(
        {
            "all": {"timeout": 60},
            "Trainer": {"timeout": 600, "retries": 2, "pool": "gpu"},
            "DataGate": {"retries": 1},
            "Pusher": {"pool": "push"},
        }
    )
    found = {task.id: task for task in tasks(TAXI, EDGES, settings)}
    assert found["Trainer"].nodes == ["Trainer"]
    assert found["Trainer"].pool == "gpu"
    assert found["Trainer"].retries == 2
    assert found["Trainer"].seconds == 600 + 120
    assert found["Baseline"].upstream == ["Trainer"]
    assert found["Pusher"].nodes == ["Pusher"]
    assert found["StatisticsGen"].retries == 1
    assert found["StatisticsGen"].seconds == 3 * 60 + 120


def test_the_file_is_python_that_imports_airflow_alone(small: Small) -> None:
    path = write_dag(_compiled(small, 'airflow.schedule="@daily"', "nodes.all.timeout=9"), small.folder)
    assert path.name == "small_dag.py"
    text = path.read_text()
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in nodes]
    assert {name.split(".")[0] for name in names if name} - sys.stdlib_module_names == {"airflow"}
    assert 'schedule="@daily"' in text
    assert "execution_timeout=datetime.timedelta(seconds=129.0)" in text


def test_a_folder_that_cannot_be_written_to_is_said(small: Small) -> None:
    with pytest.raises(
        InputError, match=r"The DAG file cannot be written to .*small_dag\.py: No such file or directory"
    ):
        write_dag(_compiled(small), small.folder / "none")


def _compiled(project: Small, *overrides: str) -> Compiled:
    config = load(str(project.folder), overrides)
    return Compiled(config, project.root, small.compiled(project.root, Path(project.folder)))
