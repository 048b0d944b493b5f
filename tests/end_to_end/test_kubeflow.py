"""The digits example as Kubeflow runs it, each command in a process of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lineage.records import EvaluationRecord, QuantizationRecord
from tests.end_to_end.conftest import NOT_MEASURED, Project
from tests.runners.kubeflow.cluster import Cluster, as_process


@pytest.mark.full
def test_digits_come_to_the_same_on_kubeflow_as_here(copy_example: Callable[[str], Project], tmp_path: Path) -> None:
    project = copy_example("digits")
    assert project.run().returncode == 0
    shown = project.show()
    done = Cluster(tmp_path, as_process).run(project.compile_for_kubeflow(tmp_path, *NOT_MEASURED))
    there = {name: sorted(task.types) for name, task in done.items() if name != "Begin"}
    assert there == {node["id"]: sorted(made["type"] for made in node["artifacts"]) for node in shown["nodes"]}
    evaluation = EvaluationRecord.load(done["Evaluator"].artifacts["evaluation"].uri)
    quantized = QuantizationRecord.load(done["Quantizer"].artifacts["metrics"].uri)
    assert evaluation is not None and quantized is not None
    assert evaluation.overall == shown["metrics"]
    assert quantized.value == shown["quantized"]["accuracy"]
