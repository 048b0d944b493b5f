"""Records come back from their JSON as they were."""

import math
from pathlib import Path

from lineage.records import EvaluationRecord, Slice, TrainingRecord


def test_a_diverged_training_and_an_undefined_metric_survive_the_file(tmp_path: Path) -> None:
    history = {"loss": [0.5, math.inf, math.nan]}
    TrainingRecord(epochs=3, best_epoch=1, parameters=1, examples_per_second=1.0, history=history).save(str(tmp_path))
    parts = [Slice(name="label:7", examples=0, metrics={"auc": math.nan})]
    EvaluationRecord(
        split="test", slices=parts, confusion_matrix=None, blessed=False, has_baseline=False, reasons=[]
    ).save(str(tmp_path))
    training, evaluation = TrainingRecord.load(str(tmp_path)), EvaluationRecord.load(str(tmp_path))
    assert training is not None
    assert evaluation is not None
    loss = training.history["loss"]
    assert loss[:2] == history["loss"][:2]
    assert math.isnan(loss[2])
    assert math.isnan(evaluation.slices[0].metrics["auc"])
    assert evaluation.overall == {}


def test_a_folder_without_a_record_loads_none(tmp_path: Path) -> None:
    assert TrainingRecord.load(str(tmp_path)) is None
