"""After a real kill -9 in the middle of a real TFX run: what can be continued, and what is cleaned up."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.lock import RunLock
from lineage.outcome import State
from lineage.recording import NewRun, begin_run, finish_run
from lineage.recovery import abandon, interrupted_run, stale_runs
from lineage.runs import executions_of, find_run
from lineage.store import open_store, pipeline_root
from tests.lineage import two_nodes
from tests.lineage.executions import execute
from tests.lineage.two_nodes import HALF_WRITTEN, PIPELINE

CHILD = "from tests.lineage.two_nodes import main; main()"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root whose run `killed` was ended by SIGKILL when Train had written half of its output."""
    root = tmp_path_factory.mktemp("killed") / "output"
    hang = root.parent / "hang"
    hang.touch()
    command = [sys.executable, "-c", CHILD, str(root), "killed", str(hang)]
    log = root.parent / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        said = process.stdout.readline()
        process.kill()
    assert said.strip() == HALF_WRITTEN, log.read_text(encoding="utf-8")
    return root


@pytest.fixture
def root(killed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(killed, tmp_path / "output"))


def half_outputs(root: Path) -> list[Path]:
    """What there is on disk of Train's execution."""
    [train] = [execution.id for node, execution in executions_of(open_store(root), "killed") if node == "Train"]
    folder = pipeline_root(root, PIPELINE) / "Train"
    return [*folder.glob(f"*/{train}"), *folder.glob(f".system/*/{train}"), *folder.glob(".system/stateful*/*")]


def test_a_killed_run_is_found_where_it_would_do_the_same_and_not_otherwise(root: Path) -> None:
    store = open_store(root)
    found = interrupted_run(store, root, PIPELINE, "same")
    assert found is not None
    assert [(node.id, node.state) for node in found.nodes] == [
        ("Make", State.COMPLETE),
        ("Train", State.INTERRUPTED),
    ]
    assert interrupted_run(store, root, PIPELINE, "changed") is None
    assert interrupted_run(store, root, "another", "same") is None


def test_a_killed_run_that_a_newer_one_followed_is_not_continued_but_stale(root: Path) -> None:
    store = open_store(root)
    begin_run(store, root, "newer", NewRun(PIPELINE, "same", "", [], []))
    finish_run(store, "newer", State.COMPLETE, "")
    assert interrupted_run(store, root, PIPELINE, "same") is None
    assert [run.id for run in stale_runs(store, root, PIPELINE)] == ["killed"]


def test_a_continued_run_completes_the_killed_execution(root: Path) -> None:
    store = open_store(root)
    before = executions_of(store, "killed")
    two_nodes.run(root, "killed", hang=root / "no such file", node_ids=("Train",))
    finish_run(store, "killed", State.COMPLETE, "")
    after = executions_of(store, "killed")
    assert [(node, execution.id) for node, execution in after] == [(node, execution.id) for node, execution in before]
    run = find_run(store, root, "killed")
    assert [node.state for node in run.nodes] == [State.COMPLETE, State.COMPLETE]
    [model] = run.artifacts("Model")
    assert Path(model.uri, "weights").read_text(encoding="utf-8") == "made"


def test_abandoning_fails_the_killed_execution_and_removes_its_folders_only(root: Path) -> None:
    store = open_store(root)
    [run] = stale_runs(store, root, PIPELINE)
    kinds = {folder.parent.name for folder in half_outputs(root)}
    assert kinds == {"model", "executor_execution", "stateful_working_dir"}
    made = {path for path in pipeline_root(root, PIPELINE).glob("Make/**/*") if path.is_file()}
    assert made

    abandon(store, root, run)

    assert half_outputs(root) == []
    assert {path for path in pipeline_root(root, PIPELINE).glob("Make/**/*") if path.is_file()} == made
    [(_, make), (_, train)] = executions_of(store, "killed")
    assert make.last_known_state == mlmd.Execution.COMPLETE
    assert train.last_known_state == mlmd.Execution.FAILED
    given_up = find_run(store, root, "killed")
    assert (given_up.state, given_up.reason) == (State.FAILED, "interrupted")
    assert given_up.nodes[1].seconds is None
    assert stale_runs(store, root, PIPELINE) == []


def test_a_live_run_is_never_abandoned(root: Path) -> None:
    store = open_store(root)
    [run] = stale_runs(store, root, PIPELINE)
    files = half_outputs(root)
    with RunLock(root, "killed"):  # another runner continues it after it was read as stale
        abandon(store, root, run)
        assert half_outputs(root) == files
        assert find_run(store, root, "killed").state is State.RUNNING
        assert interrupted_run(store, root, PIPELINE, "same") is None


def test_a_run_that_ended_after_it_was_read_is_not_abandoned(root: Path) -> None:
    store = open_store(root)
    [run] = stale_runs(store, root, PIPELINE)
    finish_run(store, "killed", State.COMPLETE, "")
    abandon(store, root, run)
    assert find_run(store, root, "killed").state is State.COMPLETE
    assert half_outputs(root)


def test_working_folders_stay_while_another_run_may_use_them(root: Path) -> None:
    store = open_store(root)
    [run] = stale_runs(store, root, PIPELINE)
    begin_run(store, root, "other", NewRun(PIPELINE, "other", "", ["Train"], []))
    execute(store, "other", "Train", mlmd.Execution.RUNNING, pipeline=PIPELINE)
    abandon(store, root, run)
    assert {folder.parent.name for folder in half_outputs(root)} == {"stateful_working_dir"}
