"""The digits example by every runner there is: the same nodes, types of artifacts and metrics, and one store that lists
all runs.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import NOT_MEASURED, Project
from tests.runners.airflow.real import Airflow
from tests.runners.kubeflow.cluster import Cluster, as_process

SETTINGS = (
    "trainer.epochs=2",
    "evaluator.thresholds={sparse_categorical_accuracy: {min: 0.5}}",
    "quantizer.max_drop=1",
)
FEW_EPOCHS = [*NOT_MEASURED, *(part for setting in SETTINGS for part in ("--set", setting))]


def come_to(run: dict[str, Any]) -> tuple[dict[str, list[str]], dict[str, float], float]:
    """Types of what each node has made, metrics, accuracy of the quantized file."""
    made = {node["id"]: sorted(artifact["type"] for artifact in node["artifacts"]) for node in run["nodes"]}
    del made["Baseline"]  # it makes nothing, but finds the model that the run before has made
    return made, run["metrics"], run["quantized"]["accuracy"]


def on_airflow(project: Project, folder: Path) -> str:
    """Runs all nodes anew under a real Airflow; the state of the DAG run."""
    done = project.slipway("compile", str(project.folder), "--to", "airflow", "-o", str(folder / "dags"), *FEW_EPOCHS)
    assert done.returncode == 0, done.stdout + done.stderr
    with Airflow("2", folder / "home", folder / "dags", "digits") as airflow:
        airflow.trigger("same", {"from": "ExampleGen"})
        return airflow.ended("same")


def on_kubeflow(project: Project, folder: Path) -> None:
    """Runs the commands of its tasks, and adds to the project's runs what the last of them leaves."""
    Cluster(folder, as_process).run(project.compile_for_kubeflow(folder, *FEW_EPOCHS))
    [file] = (folder / "runs").iterdir()
    done = project.slipway("import", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_digits_come_to_the_same_on_every_runner(copy_example: Callable[[str], Project], tmp_path: Path) -> None:
    project = copy_example("digits")
    for runner in ("local", "beam"):
        done = project.run("--force", "--set", f"runner={runner}", *FEW_EPOCHS)
        assert done.returncode == 0, done.stdout + done.stderr
    assert on_airflow(project, tmp_path) == "success"
    on_kubeflow(project, tmp_path)
    runs = json.loads(project.slipway("runs", "--json").stdout)
    assert [run["runner"] for run in runs] == ["kubeflow", "airflow", "beam", "local"]
    cached = {(run["runner"], node["id"]) for run in runs for node in run["nodes"] if node["state"] != "COMPLETE"}
    assert cached == {("airflow", "SchemaImporter")}, "which is not among what depends on ExampleGen"
    found = [come_to(run) for run in runs]
    assert len(found[0][0]) == 10
    assert found == [found[0]] * 4
