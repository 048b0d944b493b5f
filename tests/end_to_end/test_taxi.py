"""The taxi example, reruns of it, and what a wrong input does: claims on exit codes and on executions in MLMD.

The tests of this module are one story and run in order; a smaller copy of the data keeps them quick.
"""

import filecmp
import signal
import time
from collections.abc import Callable

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.store import open_store
from tests.end_to_end.conftest import Project

ROWS = 4000
ABOVE_TRANSFORM = {"ExampleGen", "SchemaImporter", "StatisticsGen", "ExampleValidator", "DataGate"}


@pytest.fixture(scope="module")
def taxi(copy_example: Callable[[str], Project]) -> Project:
    project = copy_example("taxi")
    project.edit("prepare_data.py", 'drop_columns("tips")', f'drop_columns("tips").slice(0, {ROWS})')
    project.edit("pipeline.yaml", "epochs: 8", "epochs: 2")
    project.edit("pipeline.yaml", "auc: {min: 0.85, min_change: -0.02}", "auc: {min: 0.6, min_change: -0.3}")
    project.edit("pipeline.yaml", "binary_accuracy: {min: 0.8}", "binary_accuracy: {min: 0.5}")
    project.edit("pipeline.yaml", "max_drop: 0.005", "max_drop: 0.05")
    return project


def counts(project: Project) -> tuple[int, int]:
    """Artifacts, and executions that did work."""
    store = open_store(project.root)
    worked = [e for e in store.get_executions() if e.last_known_state == mlmd.Execution.COMPLETE]
    return len(store.get_artifacts()), len([e for e in worked if not e.type.endswith(".Resolver")])


def not_cached(project: Project) -> set[str]:
    """The nodes that the latest run did not find in the cache."""
    return {node for node, state in project.states().items() if state != "CACHED"}


def stopped_in(project: Project, node: str, by: signal.Signals, *arguments: str) -> str:
    """Starts a run, sends it a signal once `node` runs, and returns its id."""
    process = project.start(*arguments)
    for line in process.lines():
        if line.startswith(f"{node} | RUNNING"):
            break
    time.sleep(1)
    process.send_signal(by)
    assert process.wait() == (130 if by is signal.SIGINT else -by)
    while (shown := project.show())["state"] == "RUNNING":  # the node is killed too, and its memory takes a while to go
        time.sleep(0.1)
    assert shown["state"] == "INTERRUPTED"
    return str(shown["run"])


def test_the_first_run_serves_a_quantized_model(taxi: Project) -> None:
    done = taxi.run()
    assert done.returncode == 0, done.stdout + done.stderr
    shown = taxi.show()
    assert shown["state"] == "COMPLETE"
    assert {node["state"] for node in shown["nodes"]} == {"COMPLETE"}
    assert 0.5 < shown["metrics"]["auc"] <= 1
    assert shown["quantized"]["bytes"] < shown["quantized"]["float_bytes"]
    assert shown["pushed"] == str(taxi.root / "serving" / "taxi" / "1")
    assert (taxi.root / "serving/taxi/1/model.tflite").stat().st_size == shown["quantized"]["bytes"]
    assert "I0000" not in done.stdout + done.stderr  # TensorFlow's noise is in the log
    assert (taxi.root / "runs" / shown["run"] / "report.html").read_text().startswith("<!")


def test_a_second_run_says_that_nothing_has_changed(taxi: Project) -> None:
    taxi.edit("pipeline.yaml", "name: taxi", "name: taxi  # a comment")
    before = counts(taxi), taxi.show()["run"]
    done = taxi.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Up to date")
    assert (counts(taxi), taxi.show()["run"]) == before


def test_a_served_version_that_is_gone_is_pushed_again_without_tensorflow(taxi: Project) -> None:
    first = taxi.show()["run"]
    taxi.lose_served_version()
    with taxi.start_anew(PYTHONPROFILEIMPORTTIME="1") as process:
        said, _ = process.communicate()
    assert process.returncode == 0, said
    assert f"All but Pusher is as {first} has made it." in said
    assert not_cached(taxi) == {"Pusher"}
    assert taxi.versions() == ["2"]
    imported = {line.rpartition("|")[2].strip() for line in taxi.log().splitlines() if line.startswith("import time:")}
    assert {"runners.local", "tfx"} <= imported
    # Of what cannot be imported the attempt shows, and nothing that it would have brought.
    assert not {"tensorflow._api", "apache_beam.internal"} & imported


def test_one_character_in_preprocessing_fn_reruns_transform_and_all_below_even_after_a_kill(taxi: Project) -> None:
    taxi.edit("model.py", 'missing = "" if', 'missing = "?" if')
    run_id = stopped_in(taxi, "Trainer", signal.SIGKILL)
    store = open_store(taxi.root)
    before = {e.id for e in store.get_executions()}
    [killed] = [e for e in store.get_executions() if e.last_known_state == mlmd.Execution.RUNNING]

    done = taxi.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Continuing" in done.stdout
    shown = taxi.show()
    assert (shown["run"], shown["state"]) == (run_id, "COMPLETE")
    assert not_cached(taxi) == set(taxi.states()) - ABOVE_TRANSFORM
    [continued] = store.get_executions_by_id([killed.id])
    assert continued.last_known_state == mlmd.Execution.COMPLETE
    new = [e for e in store.get_executions() if e.id not in before]
    assert sorted(e.type.rpartition(".")[2] for e in new) == [
        "Evaluator",
        "InfraValidator",
        "Pusher",
        "Quantizer",
        "Resolver",
    ]
    assert taxi.versions() == ["2", "3"]


def test_an_unknown_label_is_exit_2_and_names_the_columns(taxi: Project) -> None:
    started = time.monotonic()
    done = taxi.run("--set", "data.label=big_tip")
    assert done.returncode == 2
    assert "'big_tip'" in done.stderr
    assert "big_tipper" in done.stderr
    assert "payment_type" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - started < 60  # no TensorFlow was imported: see test_config for the claim itself


def test_a_value_outside_the_domain_is_refused_with_column_value_and_count(taxi: Project) -> None:
    data = taxi.folder / "data/taxi.csv"
    good = data.read_text()
    header, *rows = good.splitlines()
    rows[:3] = [row.replace('"Cash"', '"Barter"').replace('"Credit Card"', '"Barter"').replace('"Unknown"', '"Barter"')
                for row in rows[:3]]  # fmt: skip
    data.write_text("\n".join([header, *rows]) + "\n")
    done = taxi.run()
    data.write_text(good)
    assert done.returncode == 3
    assert "payment_type" in done.stdout
    assert "Barter" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    states = taxi.states()
    assert states["DataGate"] == "REFUSED"
    below = set(states) - ABOVE_TRANSFORM
    assert {states[node] for node in below} == {"PENDING"}


def test_after_a_change_the_killed_execution_fails_and_its_half_outputs_go(taxi: Project) -> None:
    """And a run that is stopped again and again is still the same run."""
    given_up = stopped_in(taxi, "Trainer", signal.SIGKILL, "--set", "trainer.seed=2")
    store = open_store(taxi.root)
    [killed] = [e for e in store.get_executions() if e.last_known_state == mlmd.Execution.RUNNING]
    half = list((taxi.root / "artifacts/taxi/Trainer").glob(f"*/{killed.id}"))
    assert half

    taxi.edit("model.py", "(64, 32)", "(64, 16)")
    run_id = stopped_in(taxi, "Evaluator", signal.SIGINT)
    assert run_id != given_up
    [failed] = store.get_executions_by_id([killed.id])
    assert failed.last_known_state == mlmd.Execution.FAILED
    assert not any(folder.exists() for folder in half)

    assert stopped_in(taxi, "InfraValidator", signal.SIGKILL) == run_id
    done = taxi.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (taxi.show()["run"], taxi.show()["state"]) == (run_id, "COMPLETE")
    assert not_cached(taxi) == set(taxi.states()) - ABOVE_TRANSFORM - {"Transform"}
    assert not (taxi.root / "runs" / run_id / "tmp").exists()


def test_going_back_to_what_has_run_before_serves_that_again(taxi: Project) -> None:
    """Though every node has made it already, the Pusher too: since then another model is served."""
    taxi.edit("model.py", "(64, 16)", "(64, 32)")
    done = taxi.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert not_cached(taxi) == {"Pusher"}
    served = taxi.root / "serving/taxi" / taxi.versions()[-1] / "saved_model.pb"
    assert filecmp.cmp(served, taxi.output("Trainer", "Model") / "Format-Serving/saved_model.pb", shallow=False)


def test_only_the_last_versions_are_kept_and_they_increase(taxi: Project) -> None:
    assert taxi.versions() == ["3", "4", "5"]  # five pushes in this story, keep: 3
