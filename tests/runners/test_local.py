"""Claims about the local runner, on a diamond of four real nodes: what runs when, and what a crash leaves."""

import os
import signal

import psutil
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from tests.runners.small import NODES, Small

MADE = "madeStatisticsGenmadeTransform"


def test_nodes_that_do_not_need_each_other_run_side_by_side(small: Small) -> None:
    small.let("StatisticsGen", "meet Transform")
    small.let("Transform", "meet StatisticsGen")
    assert small.run() == 0
    assert small.outputs() == [MADE]


def test_a_killed_node_interrupts_the_run_which_goes_on_with_the_same_execution(small: Small) -> None:
    small.let("Transform", "hang")
    runner = small.start()
    os.kill(small.pid("Transform"), signal.SIGKILL)
    runner.join(60)
    assert runner.exitcode == 1
    run = small.latest()
    assert (run.state, small.states()["Transform"]) == ("INTERRUPTED", "INTERRUPTED")
    assert run.reason.startswith("Transform: The process was killed by SIGKILL.")
    (small.folder / "Transform").unlink()
    assert small.run() == 0
    assert (small.latest().id, small.latest().state) == (run.id, "COMPLETE")
    assert small.latest().reason == ""
    assert {node_id: len(small.executions(node_id)) for node_id in NODES} == dict.fromkeys(NODES, 1)
    assert small.outputs() == [MADE]


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_runner(small: Small, by: signal.Signals) -> None:
    small.let("Trainer", "hang")
    runner = small.start()
    node = psutil.Process(small.pid("Trainer"))
    assert runner.pid is not None
    os.kill(runner.pid, by)
    node.wait(60)
    runner.join(60)
    assert runner.exitcode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 1}[by]
    assert small.latest().state == "INTERRUPTED"


@pytest.mark.parametrize(
    ("limit", "does", "said"),
    [
        ("nodes.Transform.timeout=1", "hang", "was stopped after 1 s, its limit: raise nodes.Transform.timeout"),
        ("nodes.all.memory=900MB", "hold 1000", "its limit is 0.90 GB: raise nodes.Transform.memory"),
    ],
)
def test_a_node_at_its_limit_is_stopped_and_goes_on_under_another(
    small: Small, limit: str, does: str, said: str
) -> None:
    small.let("Transform", does)
    assert small.run(limit) == 1
    stopped = small.latest()
    assert stopped.state == "INTERRUPTED"
    assert said in stopped.reason
    (small.folder / "Transform").unlink()
    assert small.run(limit.partition("=")[0] + "=4000000000") == 0
    assert small.latest().id == stopped.id
    assert len(small.executions("Transform")) == 1


def test_a_node_that_fails_is_run_again_as_often_as_asked_for(small: Small) -> None:
    small.let("Transform", "fail once")
    assert small.run("nodes.Transform.retries=1") == 0
    [retried] = small.executions("Transform")
    assert retried.last_known_state == mlmd.Execution.COMPLETE
    assert small.outputs() == [MADE]


def test_after_a_failure_what_runs_ends_and_no_other_begins(small: Small) -> None:
    small.let("StatisticsGen", "fail")
    assert small.run() == 1
    assert small.latest().state == "FAILED"
    assert "StatisticsGen was made to fail" in small.latest().reason
    assert small.states() == {
        "ExampleGen": "COMPLETE",
        "StatisticsGen": "FAILED",
        "Transform": "COMPLETE",
        "Trainer": "PENDING",
    }
