"""Anomalies are read from the files that TFDV's own types write."""

from pathlib import Path

from ml_metadata.metadata_store import MetadataStore
from tensorflow_metadata.proto.v0 import anomalies_pb2

from lineage.anomalies import read_anomalies
from lineage.findings import find
from lineage.outcome import State
from lineage.recording import finish_run
from lineage.records import Anomaly
from lineage.runs import find_run
from tests.lineage.executions import Output, begin, execute


def write(folder: Path) -> None:
    """An ExampleAnomalies artifact: a bad value in the eval split, too few rows in it, nothing in the train split."""
    message = anomalies_pb2.Anomalies()
    reason = message.anomaly_info["fare"].reason.add()
    reason.type = anomalies_pb2.AnomalyInfo.FLOAT_TYPE_SMALL_FLOAT
    reason.description = "Unexpectedly low values: -3."
    whole = message.dataset_anomaly_info.reason.add()
    whole.type = anomalies_pb2.AnomalyInfo.DATASET_LOW_NUM_EXAMPLES
    whole.description = "Fewer than 10 examples."
    for split, content in {"eval": message, "train": anomalies_pb2.Anomalies()}.items():
        (folder / f"Split-{split}").mkdir(parents=True)
        (folder / f"Split-{split}" / "SchemaDiff.pb").write_bytes(content.SerializeToString())


def test_each_reason_becomes_an_anomaly_with_split_column_and_kind(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_anomalies(str(tmp_path)) == [
        Anomaly(split="eval", column="fare", kind="FLOAT_TYPE_SMALL_FLOAT", description="Unexpectedly low values: -3."),
        Anomaly(split="eval", column="", kind="DATASET_LOW_NUM_EXAMPLES", description="Fewer than 10 examples."),
    ]


def test_where_the_gate_left_no_record_the_validators_anomalies_are_shown(
    store: MetadataStore, root: Path, tmp_path: Path
) -> None:
    write(tmp_path / "anomalies")
    begin(store, root, "r1")
    execute(store, "r1", "Make", outputs=[Output("ExampleAnomalies", "anomalies", str(tmp_path / "anomalies"))])
    finish_run(store, "r1", State.REFUSED, "2 anomalies")
    found = find(find_run(store, root, "r1")).anomalies
    assert found is not None
    assert [anomaly.column for anomaly in found] == ["fare", ""]


def test_a_refused_anomaly_is_shown_in_the_words_of_the_gate(store: MetadataStore, root: Path, tmp_path: Path) -> None:
    write(tmp_path / "anomalies")
    begin(store, root, "r1")
    execute(store, "r1", "Make", outputs=[Output("ExampleAnomalies", "anomalies", str(tmp_path / "anomalies"))])
    reason = (
        "DataGate: The data is not what its schema says: 1 anomaly.\n"
        "  split 'eval', column 'fare': FLOAT_TYPE_SMALL_FLOAT: 2 values are outside the schema's domain: -3.0 (2).\n"
        "Correct the data or the schema, or allow an anomaly by its name, such as fare:FLOAT_TYPE_SMALL_FLOAT."
    )
    finish_run(store, "r1", State.REFUSED, reason)
    found = find(find_run(store, root, "r1")).anomalies
    assert found is not None
    assert [anomaly.description for anomaly in found] == [
        "2 values are outside the schema's domain: -3.0 (2).",
        "Fewer than 10 examples.",  # the gate said nothing of it
    ]


def test_a_column_has_the_name_that_it_has_in_the_data(tmp_path: Path) -> None:
    message = anomalies_pb2.Anomalies()
    info = message.anomaly_info["'the share'"]  # TFDV quotes the key
    info.path.step.append("the share")
    info.reason.add(type=anomalies_pb2.AnomalyInfo.FLOAT_TYPE_BIG_FLOAT, description="Too large.")
    (tmp_path / "Split-eval").mkdir()
    (tmp_path / "Split-eval" / "SchemaDiff.pb").write_bytes(message.SerializeToString())
    [anomaly] = read_anomalies(str(tmp_path))
    assert anomaly.column == "the share"
    assert anomaly.heading == "split 'eval', column 'the share': FLOAT_TYPE_BIG_FLOAT"


def test_a_run_that_never_looked_at_data_has_no_verdict_on_it(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    assert find(find_run(store, root, "r1")).anomalies is None
