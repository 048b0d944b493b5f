"""DataGate on what StatisticsGen and ExampleValidator really say of a small CSV with values outside its schema."""

import collections
import dataclasses
import json
import logging
from collections.abc import Collection
from pathlib import Path

import pytest
import yaml
from tfx.components import ExampleValidator, StatisticsGen
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts

from components.data_gate.component import DataGate
from components.example_gen.component import ColumnarExampleGen
from lineage.outcome import GateRefused, InputError
from lineage.records import DataGateRecord
from tests.tfx_harness import Given, Ran, run_component

SCHEMA = """
feature {{ name: "payment" type: BYTES string_domain {{ value: "Cash" value: "Card" }} {required} }}
feature {{ name: "shop" type: BYTES domain: "shops" {required} }}
feature {{ name: "hour" type: INT int_domain {{ min: 0 max: 23 }} {required} }}
feature {{ name: "the share" type: FLOAT float_domain {{ min: 0.0 max: 1.0 }} {required} }}
feature {{ name: "tip" type: INT {required} }}
string_domain {{ name: "shops" value: "north" value: "south" }}
""".format(required="presence { min_fraction: 1.0 }")

GOOD = ("Cash", "north", 12, 0.5, 1)
BAD = {
    "payment": [("Bitcoin", 4), ("IOU", 2), ("Caf\u00e9", 1)],
    "shop": [("west", 3)],
    "hour": [(24, 2), (99, 1), (-1, 5)],
    "the share": [(1.5, 2), (-0.25, 1)],
}


def rows_with_faults() -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [GOOD] * 200
    for index, column in enumerate(BAD):
        for value, count in BAD[column]:
            rows += [(*GOOD[:index], value, *GOOD[index + 1 :])] * count
    return rows


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    """The artifacts that the gate reads: `good` data, data with `faults` in it, and data with `holes`."""
    root = tmp_path_factory.mktemp("validated")
    splits = {"good": [GOOD] * 20, "faults": rows_with_faults(), "holes": [GOOD] * 9 + [("", *GOOD[1:])]}
    for split, rows in splits.items():
        (root / "data" / split).mkdir(parents=True)
        lines = [("payment", "shop", "hour", "the share", "tip"), *rows]
        (root / "data" / split / "a.csv").write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    (root / "schema").mkdir()
    (root / "schema" / "schema.pbtxt").write_text(SCHEMA)
    read = example_gen_pb2.Input(
        splits=[example_gen_pb2.Input.Split(name=split, pattern=f"{split}/*") for split in splits]
    )
    generated = run_component(
        root,
        lambda: ColumnarExampleGen(input_base=str(root / "data"), label="tip", task="regression", input_config=read),
        {},
    )
    names = {"split_names": json.dumps([*splits])}
    payload = {"payload_format": "FORMAT_TF_EXAMPLE"}
    examples = Given(standard_artifacts.Examples, generated.uri("examples"), names, payload)
    computed = run_component(root, StatisticsGen, {"examples": examples}).uri("statistics")
    statistics = Given(standard_artifacts.ExampleStatistics, computed, names)
    schema = Given(standard_artifacts.Schema, str(root / "schema"))
    found = run_component(root, ExampleValidator, {"statistics": statistics, "schema": schema}).uri("anomalies")
    anomalies = Given(standard_artifacts.ExampleAnomalies, found, names)
    return {"examples": examples, "schema": schema, "anomalies": anomalies}


def pass_gate(validated: dict[str, Given], root: Path, splits: list[str], allow: Collection[str] = ()) -> Ran:
    """Runs the gate on some of the splits."""
    names = {"split_names": json.dumps(splits)}
    anomalies = dataclasses.replace(validated["anomalies"], properties=names)
    given = validated | {"anomalies": anomalies}
    return run_component(root, lambda **channels: DataGate(allow=allow, **channels), given)


@pytest.fixture(scope="module")
def refusal(validated: dict[str, Given], tmp_path_factory: pytest.TempPathFactory) -> str:
    with pytest.raises(GateRefused) as raised:
        pass_gate(validated, tmp_path_factory.mktemp("refused"), ["good", "faults"])
    return str(raised.value)


@pytest.mark.parametrize(
    "line",
    [
        "column 'payment': ENUM_TYPE_UNEXPECTED_STRING_VALUES: 7 values are outside the schema's domain: "
        "'Bitcoin' (4), 'IOU' (2), 'Caf\u00e9' (1).",
        "column 'shop': ENUM_TYPE_UNEXPECTED_STRING_VALUES: 3 values are outside the schema's domain: 'west' (3).",
        "column 'hour': INT_TYPE_BIG_INT: 3 values are outside the schema's domain: 24 (2), 99 (1).",
        "column 'hour': INT_TYPE_SMALL_INT: 5 values are outside the schema's domain: -1 (5).",
        "column 'the share': FLOAT_TYPE_BIG_FLOAT: 2 values are outside the schema's domain: 1.5 (2).",
        "column 'the share': FLOAT_TYPE_SMALL_FLOAT: 1 value is outside the schema's domain: -0.25 (1).",
    ],
)
def test_a_refusal_names_column_values_and_their_number(refusal: str, line: str) -> None:
    assert line in refusal


def test_a_refusal_can_be_allowed_by_what_it_says_to_put_into_pipeline_yaml(
    refusal: str, validated: dict[str, Given], tmp_path: Path
) -> None:
    assert "or allow them by their names in pipeline.yaml: data_gate: {allow: [" in refusal
    allow = yaml.safe_load(refusal.rpartition("pipeline.yaml: ")[2])["data_gate"]["allow"]
    assert len(allow) == 6
    pass_gate(validated, tmp_path, ["good", "faults"], allow)


def test_a_refusal_is_about_the_faulty_split_only(refusal: str) -> None:
    assert refusal.count("split 'faults', column ") == 6
    assert "'good'" not in refusal


def test_what_is_allowed_passes_with_a_warning_and_stays_in_the_record(
    validated: dict[str, Given], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hours = ["hour:INT_TYPE_BIG_INT", "hour:INT_TYPE_SMALL_INT"]
    shares = ["the share:FLOAT_TYPE_BIG_FLOAT", "the share:FLOAT_TYPE_SMALL_FLOAT"]
    allow = ["ENUM_TYPE_UNEXPECTED_STRING_VALUES", *hours, *shares]
    with caplog.at_level(logging.WARNING, logger="slipway"):
        blessing = pass_gate(validated, tmp_path, ["good", "faults"], allow).uri("blessing")
    record = DataGateRecord.load(blessing)
    assert record is not None
    assert all(anomaly.allowed for anomaly in record.anomalies)
    assert {anomaly.column for anomaly in record.anomalies} == set(BAD)
    warned = collections.Counter(entry.name for entry in caplog.records if "allowed anomaly" in entry.message)
    assert warned == {"slipway": len(record.anomalies)}


def test_allowing_one_anomaly_leaves_the_others_refused(validated: dict[str, Given], tmp_path: Path) -> None:
    with pytest.raises(GateRefused) as raised:
        pass_gate(validated, tmp_path, ["faults"], ["ENUM_TYPE_UNEXPECTED_STRING_VALUES"])
    assert "payment" not in str(raised.value)
    assert "column 'hour'" in str(raised.value)


def test_data_as_the_schema_says_is_blessed(validated: dict[str, Given], tmp_path: Path) -> None:
    blessing = pass_gate(validated, tmp_path, ["good"]).uri("blessing")
    assert DataGateRecord.load(blessing) == DataGateRecord(anomalies=[])


def test_an_anomaly_that_is_not_about_a_domain_is_told_as_tfdv_does(
    validated: dict[str, Given], tmp_path: Path
) -> None:
    told = (
        r"1 anomaly\.\n  split 'holes', column 'payment': FEATURE_TYPE_LOW_FRACTION_PRESENT: .*90(.|\n)*"
        r'allow it by its name in .*: \["payment:FEATURE_TYPE_LOW_FRACTION_PRESENT"\]'
    )
    with pytest.raises(GateRefused, match=told):
        pass_gate(validated, tmp_path, ["good", "holes"])


def test_an_unknown_name_in_allow_is_refused_before_anything_runs(validated: dict[str, Given], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean SCHEMA_NEW_COLUMN"):
        pass_gate(validated, tmp_path, ["good"], ["SCHEMA_NEW_COLUMNS"])
