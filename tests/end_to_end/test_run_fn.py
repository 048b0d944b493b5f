"""A module of TFX's own examples, unchanged, from the data to what is served, and what is asked of one that cannot."""

from importlib.resources import files

import pytest
from pyarrow import compute, csv

from lineage.records import InfraRecord
from tests.end_to_end.conftest import Project

TAXI = files("tfx") / "examples" / "chicago_taxi_pipeline"
YAML = f"""
name: taxi
task: binary
data: {{format: csv, path: taxi.csv, label: big_tipper}}
schema: schema.pbtxt
data_gate: {{allow: ["company:ENUM_TYPE_UNEXPECTED_STRING_VALUES"]}}
model: {TAXI / "taxi_utils.py"}
trainer: {{epochs: 2, batch_size: 40}}
evaluator: {{slices: [payment_type], thresholds: {{auc: {{min: 0.6}}}}}}
"""
LABEL = 'feature { name: "big_tipper" type: INT presence { min_fraction: 1 } shape { dim { size: 1 } } }'


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """2,000 trips with the tip, from which the module makes the label for itself."""
    folder = tmp_path_factory.mktemp("taxi")
    trips = csv.read_csv(str(TAXI / "data" / "big_tipper_label" / "data.csv"))
    csv.write_csv(trips.filter(compute.is_valid(trips["pickup_latitude"])).slice(0, 2000), folder / "taxi.csv")
    schema = (TAXI / "data" / "user_provided_schema" / "schema.pbtxt").read_text()
    (folder / "schema.pbtxt").write_text(f"{schema}\n{LABEL}")
    (folder / "pipeline.yaml").write_text(YAML)
    return Project(folder, tmp_path_factory.mktemp("taxi_root"))


def test_a_model_without_the_signature_for_tflite_is_told_what_to_do(taxi: Project) -> None:
    done = taxi.run()
    assert done.returncode == 2, done.stdout + done.stderr
    assert "The model has no signature 'transformed'" in done.stdout
    assert "serving_default, transform_features" in done.stdout
    assert "quantizer.mode to none" in " ".join(done.stdout.split())
    assert taxi.states()["Evaluator"] == "COMPLETE"


def test_without_a_quantizer_it_is_evaluated_checked_and_served(taxi: Project) -> None:
    done = taxi.run("--set", "quantizer.mode=none")
    assert done.returncode == 0, done.stdout + done.stderr
    shown, states = taxi.show(), taxi.states()
    assert "Quantizer" not in states
    assert {states[node] for node in ("ExampleGen", "Transform", "Trainer", "Evaluator")} == {"CACHED"}
    assert shown["metrics"]["auc"] > 0.6
    assert shown["quantized"] is None
    assert shown["pushed"] == str(taxi.root / "serving" / "taxi" / "1")
    assert "model.tflite" not in done.stdout
    [checked] = (taxi.root / "artifacts" / "taxi" / "InfraValidator").glob("blessing/*")
    record = InfraRecord.load(str(checked))
    assert record is not None
    assert (record.requests, record.blessed) == (16, True)
