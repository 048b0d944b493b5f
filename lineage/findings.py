"""Collects what the components of a run have recorded beside their artifacts, wherever in the run they lie."""

import dataclasses
from typing import TypeVar

import pydantic
from google.protobuf.message import DecodeError

from lineage.anomalies import ARTIFACT_TYPE, read_anomalies
from lineage.records import (
    Anomaly,
    DataGateRecord,
    EvaluationRecord,
    InfraRecord,
    QuantizationRecord,
    Record,
    TrainingRecord,
)
from lineage.runs import Run

_HOLDERS: dict[type[Record], str] = {
    DataGateRecord: "DataBlessing",
    TrainingRecord: "ModelRun",
    EvaluationRecord: "ModelEvaluation",
    QuantizationRecord: "QuantizationMetrics",
    InfraRecord: "InfraBlessing",
}


_Kind = TypeVar("_Kind", bound=Record)


@dataclasses.dataclass(frozen=True)
class Findings:
    """The records of a run; None where there is none: not run yet, failed before writing it, or removed since.

    `anomalies` is None where no data was looked at. `unreadable` names the records that are there but make no sense.
    """

    training: TrainingRecord | None
    evaluation: EvaluationRecord | None
    quantization: QuantizationRecord | None
    infra: InfraRecord | None
    anomalies: list[Anomaly] | None
    unreadable: list[str]


def find(run: Run) -> Findings:
    """Reads all records of the run; cached artifacts count like new ones."""
    reader = _Reader(run)
    return Findings(
        training=reader.record(TrainingRecord),
        evaluation=reader.record(EvaluationRecord),
        quantization=reader.record(QuantizationRecord),
        infra=reader.record(InfraRecord),
        anomalies=reader.anomalies(),
        unreadable=reader.unreadable,
    )


class _Reader:
    """Loads records and notes the ones that cannot be read."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.unreadable: list[str] = []

    def record(self, kind: type[_Kind]) -> _Kind | None:
        for artifact in self._run.artifacts(_HOLDERS[kind]):
            try:
                found = kind.load(artifact.uri)
            except (OSError, UnicodeDecodeError, pydantic.ValidationError):
                self.unreadable.append(f"{artifact.uri}/{kind.FILE_NAME}")
                continue
            if found is not None:
                return found
        return None

    def anomalies(self) -> list[Anomaly] | None:
        """The data gate's own record, else (it refused, so it has no artifact) what the validator found.

        Of an anomaly that it refused the gate has said more in the run's reason: which values, and how many.
        """
        if gate := self.record(DataGateRecord):
            return gate.anomalies
        found: list[Anomaly] | None = None
        for artifact in self._run.artifacts(ARTIFACT_TYPE):
            try:
                found = [*(found or []), *read_anomalies(artifact.uri)]
            except (OSError, DecodeError):
                self.unreadable.append(artifact.uri)
        return found and [self._as_refused(anomaly) for anomaly in found]

    def _as_refused(self, anomaly: Anomaly) -> Anomaly:
        said = (line.strip().partition(f"{anomaly.heading}: ") for line in self._run.reason.splitlines())
        description = next((rest for before, found, rest in said if found and not before), anomaly.description)
        return anomaly.model_copy(update={"description": description})
