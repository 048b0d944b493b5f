"""What was recorded of a run is what is read back, whatever became of it."""

import time
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.lock import RunLock
from lineage.outcome import InputError, State
from lineage.recording import finish_run
from lineage.runs import Run, find_run, is_alive, list_runs
from tests.lineage.executions import CHAIN, RESOLVER, Output, begin, execute


def states(run: Run) -> list[State]:
    return [node.state for node in run.nodes]


def test_a_run_that_has_only_begun_shows_its_whole_graph_pending(store: MetadataStore, root: Path) -> None:
    with RunLock(root, "r1"):
        begin(store, root, "r1", fingerprint="abc")
        run = find_run(store, root, None)
        assert is_alive(run)
    assert (run.id, run.pipeline, run.state, run.reason) == ("r1", "digits", State.RUNNING, "")
    assert (run.fingerprint, run.config, run.finished) == ("abc", "name: digits\n", None)
    assert [node.id for node in run.nodes] == CHAIN
    assert states(run) == [State.PENDING] * 3
    assert run.edges == (("Make", "Train"), ("Train", "Push"))
    assert all(node.seconds is None for node in run.nodes)


def test_a_finished_run_keeps_state_reason_and_end(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    execute(store, "r1", "Make", outputs=[Output("Model", "model", "/made", {"span": 3, "share": 0.5, "by": "me"})])
    execute(store, "r1", "Train", mlmd.Execution.FAILED)
    finish_run(store, "r1", State.FAILED, "Train: no such column")
    run = find_run(store, root, "r1")
    assert (run.state, run.reason) == (State.FAILED, "Train: no such column")
    assert states(run) == [State.COMPLETE, State.FAILED, State.PENDING]
    assert run.finished is not None
    assert run.finished >= run.started
    [artifact] = run.artifacts("Model")
    assert (artifact.uri, artifact.key) == ("/made", "model")
    assert artifact.properties == {"span": 3, "share": 0.5, "by": "me"}


def test_a_run_that_nobody_runs_any_more_is_interrupted(store: MetadataStore, root: Path) -> None:
    with RunLock(root, "r1"):
        begin(store, root, "r1")
        execute(store, "r1", "Make")
        execute(store, "r1", "Train", mlmd.Execution.RUNNING)
        alive = find_run(store, root, "r1")
    dead = find_run(store, root, "r1")
    assert (alive.state, states(alive)) == (State.RUNNING, [State.COMPLETE, State.RUNNING, State.PENDING])
    assert (dead.state, states(dead)) == (State.INTERRUPTED, [State.COMPLETE, State.INTERRUPTED, State.PENDING])
    assert "ended in Train" in dead.reason
    assert dead.nodes[1].seconds is None


def test_a_node_that_died_under_a_runner_that_lived_has_failed(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    execute(store, "r1", "Make", mlmd.Execution.RUNNING)
    finish_run(store, "r1", State.FAILED, "Make: out of memory")
    assert states(find_run(store, root, "r1"))[0] is State.FAILED


def test_cached_nodes_show_the_artifacts_they_took(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    _, made = execute(store, "r1", "Make", outputs=[Output("Model", "model", "/made")])
    finish_run(store, "r1", State.COMPLETE, "")
    begin(store, root, "r2")
    execute(store, "r2", "Make", mlmd.Execution.CACHED, reuse=made)
    finish_run(store, "r2", State.COMPLETE, "")
    run = find_run(store, root, "r2")
    assert run.nodes[0].state is State.CACHED
    assert [artifact.uri for artifact in run.artifacts("Model")] == ["/made"]


def test_a_resolver_counts_as_cached_only_where_it_found_something_older(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    execute(store, "r1", "Make", executor=RESOLVER)
    _, made = execute(store, "r1", "Train", outputs=[Output("Model", "model", "/made")])
    execute(store, "r1", "Push", reuse=made, executor=RESOLVER)
    finish_run(store, "r1", State.COMPLETE, "")
    time.sleep(0.01)  # MLMD's times are in milliseconds
    begin(store, root, "r2")
    execute(store, "r2", "Make", reuse=made, executor=RESOLVER)
    assert states(find_run(store, root, "r1")) == [State.COMPLETE] * 3
    assert find_run(store, root, "r2").nodes[0].state is State.CACHED


def test_a_blessing_not_given_and_a_gate_that_raised_both_show_as_refused(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    execute(store, "r1", "Make", outputs=[Output("ModelBlessing", "blessing", "/b", {"blessed": 1})])
    execute(store, "r1", "Train", outputs=[Output("ModelBlessing", "blessing", "/b", {"blessed": 0})])
    execute(store, "r1", "Push", mlmd.Execution.FAILED)
    finish_run(store, "r1", State.REFUSED, "worse than before")
    assert states(find_run(store, root, "r1")) == [State.COMPLETE, State.REFUSED, State.REFUSED]


def test_the_time_between_two_attempts_is_nobodys_work(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    execution_id, _ = execute(store, "r1", "Make", mlmd.Execution.RUNNING)
    time.sleep(0.05)
    begin(store, root, "r1")
    [execution] = store.get_executions_by_id([execution_id])
    execution.last_known_state = mlmd.Execution.COMPLETE
    store.put_executions([execution])
    [execution] = store.get_executions_by_id([execution_id])
    resumed = store.get_context_by_type_and_name("pipeline_run", "r1").custom_properties["resumed"].double_value
    assert resumed - execution.create_time_since_epoch >= 50
    expected = (execution.last_update_time_since_epoch - resumed) / 1000
    assert find_run(store, root, "r1").nodes[0].seconds == pytest.approx(expected)


def test_the_latest_execution_of_a_node_counts(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    for uri in ("/first", "/second"):  # TFX registers a system node anew when a run is continued
        execute(store, "r1", "Make", outputs=[Output("Schema", "result", uri)], executor=RESOLVER)
    for run in (find_run(store, root, "r1"), *list_runs(store, root)):
        assert [artifact.uri for artifact in run.artifacts("Schema")] == ["/second"]


def test_a_run_that_has_ended_cannot_begin_again(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    finish_run(store, "r1", State.COMPLETE, "")
    with pytest.raises(InputError, match="r1 was run by another process meanwhile and ended as COMPLETE"):
        begin(store, root, "r1")


def test_a_run_of_the_same_id_that_does_other_work_is_not_continued(store: MetadataStore, root: Path) -> None:
    """Two starts in one second may choose one id; the second finds a run that the first began and was killed in."""
    begin(store, root, "r1", fingerprint="first")
    with pytest.raises(InputError, match="r1 was begun by another process meanwhile, with other data, code"):
        begin(store, root, "r1", fingerprint="second")
    begin(store, root, "r1", fingerprint="first")


def test_the_reason_of_a_run_has_no_escape_sequences(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    link = "\x1b]8;;https://keras.io\x1b\\docs\x1b]8;;\x1b\\"
    finish_run(store, "r1", State.FAILED, f"\x1b[1;31mDense.call()\x1b[0m\n\tfailed\r: see {link}\x07")
    assert find_run(store, root, "r1").reason == "Dense.call()\n\tfailed: see docs"


def test_runs_are_listed_newest_first_and_the_latest_is_the_default(store: MetadataStore, root: Path) -> None:
    for run_id in ("r1", "r2", "r3"):
        begin(store, root, run_id)
    assert [run.id for run in list_runs(store, root)] == ["r3", "r2", "r1"]
    assert find_run(store, root, None).id == "r3"


def test_an_unknown_run_is_an_input_error_that_names_the_nearest(store: MetadataStore, root: Path) -> None:
    with pytest.raises(InputError, match="No run is recorded"):
        find_run(store, root, "r1")
    for run_id in ("digits-0301", "digits-0302", "taxi-9999"):
        begin(store, root, run_id)
    with pytest.raises(InputError, match="digits-0301") as caught:
        find_run(store, root, "digits-0311")
    assert "taxi" not in str(caught.value)


def test_runs_of_other_tfx_programs_in_the_store_are_left_out(store: MetadataStore, root: Path) -> None:
    run_type = store.put_context_type(mlmd.ContextType(name="pipeline_run"))
    store.put_contexts([mlmd.Context(type_id=run_type, name="2026-03-03T09:12:33.123456")])
    assert list_runs(store, root) == []


def test_a_run_lies_under_its_pipeline_as_tfx_files_it(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    pipeline = store.get_context_by_type_and_name("pipeline", "digits")
    assert [context.name for context in store.get_children_contexts_by_context(pipeline.id)] == ["r1"]
