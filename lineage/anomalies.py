"""Reads the anomalies that TFX's ExampleValidator left, without TensorFlow Data Validation."""

from collections.abc import Iterator
from pathlib import Path

from tensorflow_metadata.proto.v0 import anomalies_pb2

from lineage.records import Anomaly

ARTIFACT_TYPE = "ExampleAnomalies"
_SPLIT_PREFIX = "Split-"
_FILE_NAME = "SchemaDiff.pb"


def read_anomalies(folder: str) -> list[Anomaly]:
    """All anomalies in the folder of an ExampleAnomalies artifact, by split and column.

    Raises:
      google.protobuf.message.DecodeError: a file there is not an Anomalies message.
    """
    found: list[Anomaly] = []
    for path in sorted(Path(folder).glob(f"{_SPLIT_PREFIX}*/{_FILE_NAME}")):
        message = anomalies_pb2.Anomalies.FromString(path.read_bytes())
        split = path.parent.name.removeprefix(_SPLIT_PREFIX)
        for key, info in sorted(message.anomaly_info.items()):
            # The key quotes names that are not plain words; the path does not.
            found.extend(_of(split, ".".join(info.path.step) or key, info))
        if message.HasField("dataset_anomaly_info"):
            found.extend(_of(split, "", message.dataset_anomaly_info))
    return found


def _of(split: str, column: str, info: anomalies_pb2.AnomalyInfo) -> Iterator[Anomaly]:
    for reason in info.reason:
        kind = anomalies_pb2.AnomalyInfo.Type.Name(reason.type)
        yield Anomaly(split=split, column=column, kind=kind, description=reason.description or info.description)
