"""A pipeline that goes on from its latest blessed model, told as runs: what trains again, and from which weights."""

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.records import TrainingRecord
from lineage.store import open_store
from tests.end_to_end.conftest import Project
from tests.end_to_end.test_regression import make_line

FROM_TRAINER = {"BaseModel", "Trainer", "Baseline", "Evaluator", "Quantizer", "InfraValidator", "Pusher"}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_line(tmp_path_factory)
    project.edit("pipeline.yaml", "early_stopping: 0", "early_stopping: 0, warm_start: latest_blessed")
    project.edit("pipeline.yaml", "epochs: 30", "epochs: 2")
    project.edit("pipeline.yaml", "max: 0.1", "max: 2")
    project.edit("pipeline.yaml", "max_drop: 0.1", "max_drop: 5")
    return project


def run(project: Project, *arguments: str) -> tuple[str, set[str]]:
    """What a run said, and the nodes that were not cached."""
    done = project.run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, {node for node, state in project.states().items() if state != "CACHED"}


def began_with(project: Project) -> str:
    record = TrainingRecord.load(str(project.output("Trainer", "ModelRun")))
    assert record is not None
    return record.warm_start


def trainings(project: Project) -> int:
    executions = open_store(project.root).get_executions()
    done = [e for e in executions if e.last_known_state == mlmd.Execution.COMPLETE]
    return len([e for e in done if e.type.endswith("trainer.component.Trainer")])


def test_the_first_training_starts_from_scratch_and_says_so(line: Project) -> None:
    said, _ = run(line)
    assert "There is no blessed model yet to begin with" in said
    assert began_with(line) == ""


def test_a_rerun_does_not_go_on_from_what_it_has_made_itself(line: Project) -> None:
    line.lose_served_version()
    assert run(line)[1] == {"Pusher"}
    assert trainings(line) == 1
    assert line.versions() == ["2"]


def test_an_edit_trains_from_the_latest_blessed_weights_once(line: Project) -> None:
    first = line.output("Trainer", "Model")
    line.edit("model.py", "Adam(0.05)", "Adam(0.04)")
    said, ran = run(line)
    assert ran == FROM_TRAINER - {"BaseModel"}
    assert f"Beginning with the weights of {first}" in said
    assert began_with(line) == str(first / "Format-Serving")
    report = line.root / "runs" / line.show()["run"] / "report.html"
    assert str(first / "Format-Serving") in report.read_text()
    line.lose_served_version()
    assert run(line)[1] == {"Pusher"}
    assert trainings(line) == 2
    assert line.versions() == ["2", "4"]
