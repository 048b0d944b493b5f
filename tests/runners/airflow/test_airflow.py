"""Claims about a real Airflow, in whose environment there is neither TFX nor Slipway: it runs, retries and refuses."""

import dataclasses
from collections.abc import Iterator

import psutil
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.runs import Run, find_run
from lineage.store import open_store
from pipeline.config import load
from runners import compiled
from runners.airflow import write_dag
from tests.runners import small as pipeline
from tests.runners.airflow.real import Airflow
from tests.runners.conftest import project
from tests.runners.small import NODES, Small

full = pytest.mark.full


@dataclasses.dataclass(frozen=True)
class Scheduled:
    """The small pipeline, which has run here, in the dags folder of an Airflow."""

    airflow: Airflow
    small: Small

    def run(self, run_id: str) -> Run:
        return find_run(open_store(self.small.root), self.small.root, f"small-{run_id}")

    def states(self, run_id: str) -> dict[str, str]:
        return {node.id: str(node.state) for node in self.run(run_id).nodes}


# Airflow 2 has one service to start where 3 has three. What has run here saves a process a node, ten CPU seconds each.
@pytest.fixture(scope="module", params=["2", pytest.param("3", marks=full)])
def scheduled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduled]:
    place = tmp_path_factory.mktemp(f"airflow-{request.param}")
    small = project(place)
    config = load(str(small.folder), ("nodes.all.retries=2", "airflow.retry_delay=0"))
    one = compiled.Compiled(config, small.root, pipeline.compiled(small.root, small.folder))
    compiled.save(one, place / "compiled")
    write_dag(one, place / "compiled")
    assert small.run() == 0
    with Airflow(request.param, place / "home", place / "compiled") as airflow:
        yield Scheduled(airflow, small)


@pytest.mark.timeout(900)
def test_a_task_that_is_killed_is_retried_and_goes_on_with_the_same_execution(scheduled: Scheduled) -> None:
    airflow, small = scheduled.airflow, scheduled.small
    local = small.latest()
    (small.folder / "Trainer.pid").unlink()
    small.let("Trainer", "hang")
    airflow.trigger("killed", {"from": "Trainer"})
    node = psutil.Process(small.pid("Trainer", seconds=400))
    command = node.parent()
    assert command is not None
    assert "slipway" in " ".join(command.cmdline())
    task = command.parent()
    assert task is not None
    small.let("Trainer", "work")
    task.kill()
    _, alive = psutil.wait_procs([node, command], timeout=60)
    assert not alive, "what the task has started ends with it"
    assert airflow.ended("killed") == "success", airflow.logs("killed", "end")
    before = [node_id for node_id in NODES if node_id != "Trainer"]
    assert airflow.tasks("killed") == {
        **dict.fromkeys(("begin", "end"), ("success", 1)),
        **dict.fromkeys(before, ("skipped", 1)),
        "Trainer": ("success", 2),
    }
    run = scheduled.run("killed")
    assert run.state == "COMPLETE"
    assert (run.runner, run.base) == ("airflow", local.id)
    assert scheduled.states("killed") == {**dict.fromkeys(before, "CACHED"), "Trainer": "COMPLETE"}
    assert [one.last_known_state for one in small.executions("Trainer")] == [mlmd.Execution.COMPLETE] * 2
    assert small.outputs() == ["madeStatisticsGenmadeTransform"] * 2
    assert (run.folder / "report.html").exists()
    assert "report.html" in airflow.logs("killed", "end")


@full
def test_all_nodes_run_anew_or_come_from_the_cache(scheduled: Scheduled) -> None:
    scheduled.airflow.trigger("whole", {"from": "ExampleGen"})
    assert scheduled.airflow.ended("whole") == "success"
    assert scheduled.states("whole") == dict.fromkeys(NODES, "COMPLETE")
    assert set(scheduled.small.outputs()) == {"madeStatisticsGenmadeTransform"}
    scheduled.airflow.trigger("again")
    assert scheduled.airflow.ended("again") == "success"
    assert scheduled.states("again") == dict.fromkeys(NODES, "CACHED")


@full
def test_conf_asks_for_a_part_of_a_run(scheduled: Scheduled) -> None:
    scheduled.airflow.trigger("part", {"from": "Transform"})
    assert scheduled.airflow.ended("part") == "success"
    assert scheduled.states("part") == {
        "ExampleGen": "CACHED",
        "StatisticsGen": "CACHED",
        "Transform": "COMPLETE",
        "Trainer": "COMPLETE",
    }
    tasks = scheduled.airflow.tasks("part")
    assert {name for name, (state, _) in tasks.items() if state == "skipped"} == {"ExampleGen", "StatisticsGen"}
    scheduled.airflow.trigger("based", {"from": "Trainer", "to": "Trainer", "base": "small-again"})
    assert scheduled.airflow.ended("based") == "success"
    assert scheduled.run("based").base == "small-again"


@full
def test_a_gate_that_refuses_is_not_asked_again(scheduled: Scheduled) -> None:
    scheduled.small.let("Trainer", "refuse")
    scheduled.airflow.trigger("refused", {"from": "Trainer"})
    assert scheduled.airflow.ended("refused") == "failed"
    assert scheduled.airflow.tasks("refused")["Trainer"] == ("failed", 1)
    assert scheduled.airflow.tasks("refused")["end"] == ("failed", 1)
    assert scheduled.run("refused").state == "REFUSED"
    assert "Trainer was made to refuse" in scheduled.run("refused").reason
    scheduled.small.let("Trainer", "fail once")
    scheduled.airflow.trigger("failed", {"from": "Trainer", "base": "small-again"})
    assert scheduled.airflow.ended("failed") == "success"
    assert scheduled.airflow.tasks("failed")["Trainer"] == ("success", 2)


@full
def test_a_crash_of_end_is_tried_again(scheduled: Scheduled) -> None:
    in_the_way = scheduled.small.root / "runs" / "small-crashed" / "report.html"
    in_the_way.mkdir(parents=True)
    scheduled.airflow.trigger("crashed")
    scheduled.airflow.wait(
        "SELECT 1 FROM task_instance WHERE run_id = 'crashed' AND task_id = 'end' AND (state = 'up_for_retry' OR "
        "try_number > 1)"
    )
    in_the_way.rmdir()
    assert scheduled.airflow.ended("crashed") == "success"
    state, tries = scheduled.airflow.tasks("crashed")["end"]
    assert (state, tries > 1) == ("success", True)
    assert "`slipway end` ended with exit code 4: IsADirectoryError" in scheduled.airflow.logs("crashed", "end")
    assert scheduled.run("crashed").state == "COMPLETE"


@full
def test_conf_that_is_wrong_is_said_and_not_tried_again(scheduled: Scheduled) -> None:
    done = scheduled.airflow.call("dags", "trigger", "small", "--conf", '{"from": "Trainr"}')
    assert done.returncode != 0
    assert "'Trainr' is not one of [None, 'ExampleGen', 'StatisticsGen', 'Transform', 'Trainer']" in done.stderr
    for run_id, conf, said in (
        ("key", {"form": "Trainer"}, "Got conf with form; expected from, to, base."),
        ("base", {"from": "Trainer", "base": "small-agian"}, "There is no run small-agian under"),
        ("first", {"to": "Trainer"}, "expected its first node, too"),
    ):
        scheduled.airflow.trigger(run_id, conf)
        assert scheduled.airflow.ended(run_id) == "failed"
        assert scheduled.airflow.tasks(run_id)["begin"] == ("failed", 1)
        assert said in scheduled.airflow.logs(run_id, "begin")
