"""What the ExampleValidator found in each split, as records."""

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from lineage.records import Anomaly


def read_anomalies(artifact: types.Artifact) -> list[Anomaly]:
    """The anomalies of every split, one for each reason that TFDV gives."""
    return [
        anomaly
        for split in artifact_utils.decode_split_names(artifact.split_names)
        for anomaly in _of_split(split, artifact_utils.get_split_uri([artifact], split))
    ]


def _of_split(split: str, folder: str) -> list[Anomaly]:
    found = anomalies_pb2.Anomalies()
    with fileio.open(f"{folder}/{DEFAULT_FILE_NAME}", "rb") as file:
        found.ParseFromString(file.read())
    infos = [(_column(key, info), info) for key, info in sorted(found.anomaly_info.items())]
    if found.HasField("dataset_anomaly_info"):
        infos.append(("", found.dataset_anomaly_info))
    return [anomaly for column, info in infos for anomaly in _reasons(split, column, info)]


def _column(key: str, info: anomalies_pb2.AnomalyInfo) -> str:
    # The key quotes names that are not plain words; the path does not.
    return ".".join(info.path.step) or key


def _reasons(split: str, column: str, info: anomalies_pb2.AnomalyInfo) -> list[Anomaly]:
    kind = anomalies_pb2.AnomalyInfo.Type.Name
    return [
        Anomaly(split=split, column=column, kind=kind(reason.type), description=reason.description)
        for reason in info.reason
    ]
