"""The summary says in JSON what a run came to."""

import json
from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.findings import find
from lineage.outcome import State
from lineage.recording import finish_run
from lineage.runs import Run, find_run
from lineage.summary import summarize
from tests.lineage.executions import Output, begin, execute
from tests.lineage.recorded import EVALUATION


def test_a_finished_run_shows_metrics_sizes_and_the_pushed_folder(digits: Run, tmp_path: Path) -> None:
    shown = json.loads(summarize(digits).model_dump_json())
    assert (shown["run"], shown["pipeline"], shown["state"], shown["reason"]) == ("r1", "digits", "COMPLETE", "")
    assert shown["metrics"] == {"sparse_categorical_accuracy": 0.96, "loss": 0.12}
    assert shown["quantized"] == {
        "mode": "int8",
        "refused": {},
        "metric": "accuracy",
        "bytes": 113_672,
        "float_bytes": 427_172,
        "accuracy": 0.958,
        "float_accuracy": 0.96,
        "measured": [],
        "control": None,
    }
    assert shown["pushed"] == str(tmp_path / "serving" / "digits" / "3")
    assert shown["nodes"][1]["id"] == "Trainer"
    assert shown["nodes"][1]["artifacts"] == [{"type": "ModelRun", "uri": str(tmp_path / "Trainer")}]
    assert shown["started"].endswith("Z")


def test_a_fully_cached_run_shows_the_same(digits: Run, store: MetadataStore, root: Path) -> None:
    begin(store, root, "r2", nodes=[node.id for node in digits.nodes])
    for node in digits.nodes:
        stored = [found for ref in node.artifacts for found in store.get_artifacts_by_uri(ref.uri)]
        execute(store, "r2", node.id, mlmd.Execution.CACHED, reuse=[artifact.id for artifact in stored])
    finish_run(store, "r2", State.COMPLETE, "")
    first, second = summarize(digits), summarize(find_run(store, root, "r2"))
    assert {node.state for node in second.nodes} == {State.CACHED}
    assert (second.metrics, second.quantized, second.pushed) == (first.metrics, first.quantized, first.pushed)


def test_a_run_that_made_nothing_has_nulls(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    finish_run(store, "r1", State.FAILED, "no such file")
    shown = json.loads(summarize(find_run(store, root, "r1")).model_dump_json())
    assert (shown["metrics"], shown["quantized"], shown["pushed"]) == (None, None, None)
    assert [node["seconds"] for node in shown["nodes"]] == [None] * 3


def test_an_undefined_metric_is_null_in_the_json(store: MetadataStore, root: Path, tmp_path: Path) -> None:
    begin(store, root, "r1")
    whole = EVALUATION.slices[0].model_copy(update={"metrics": {"auc": float("nan")}})
    EVALUATION.model_copy(update={"slices": [whole]}).save(str(tmp_path))
    execute(store, "r1", "Make", outputs=[Output("ModelEvaluation", "evaluation", str(tmp_path))])
    shown = json.loads(summarize(find_run(store, root, "r1")).model_dump_json())
    assert shown["metrics"] == {"auc": None}


def test_a_damaged_record_is_named_and_the_others_are_still_read(digits: Run, tmp_path: Path) -> None:
    (tmp_path / "Trainer" / "training.json").write_text("{", encoding="utf-8")
    findings = find(digits)
    assert findings.training is None
    assert findings.unreadable == [f"{tmp_path}/Trainer/training.json"]
    assert findings.evaluation is not None
    assert findings.evaluation.overall == EVALUATION.overall
