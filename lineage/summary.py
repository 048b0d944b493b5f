"""The summary of a run that `slipway show RUN --json` prints: a stable interface for scripts."""

import datetime

import pydantic

from lineage.findings import Findings, find
from lineage.outcome import State
from lineage.records import CUSTOM_OPS, Control, Measurement, QuantizationRecord
from lineage.runs import ArtifactRef, Node, Run


class ArtifactSummary(pydantic.BaseModel):
    """An output of a node: MLMD type name and folder."""

    type: str
    uri: str


class NodeSummary(pydantic.BaseModel):
    """A node of the run; `seconds` is null where it has not run or where nobody knows when it stopped."""

    id: str
    state: State
    seconds: float | None
    artifacts: list[ArtifactSummary]


class QuantizationSummary(pydantic.BaseModel):
    """Sizes in bytes of the two models, and `metric` of both on the test split.

    `accuracy` and `float_accuracy` are values of `metric`: for regression that is an error, so lower is better.
    `mode` made the file; `refused` has the modes that were tried and are not good enough, with the reasons.
    `measured` has seconds and bytes of each model that was measured, `control` what the same fine-tuning gives without
    quantization in it, where there was one.
    """

    mode: str
    refused: dict[str, list[str]]
    metric: str
    bytes: int
    float_bytes: int
    accuracy: float
    float_accuracy: float
    measured: list[Measurement]
    control: Control | None


class Summary(pydantic.BaseModel):
    """A run in one JSON object; times are UTC, a NaN becomes null.

    `metrics` are the Evaluator's, on the whole split. `pushed` is the folder of the served version.
    `custom_ops` is what the Trainer ran where model.py calls one: custom or composite.
    """

    run: str
    pipeline: str
    state: State
    reason: str
    runner: str
    started: datetime.datetime
    finished: datetime.datetime | None
    nodes: list[NodeSummary]
    custom_ops: str | None
    metrics: dict[str, float] | None
    quantized: QuantizationSummary | None
    pushed: str | None


def summarize(run: Run) -> Summary:
    """The summary of a run, finished or not.

    Example:
      print(summarize(find_run(store, root, None)).model_dump_json(indent=2))
    """
    findings = find(run)
    return Summary(
        run=run.id,
        pipeline=run.pipeline,
        state=run.state,
        reason=run.reason,
        runner=run.runner,
        started=run.started,
        finished=run.finished,
        nodes=[_node(node) for node in run.nodes],
        custom_ops=_custom_ops(run),
        metrics=_metrics(findings),
        quantized=_quantized(findings.quantization) if findings.quantization else None,
        pushed=pushed_folder(run),
    )


def pushed_folder(run: Run) -> str | None:
    """The folder of the version that the Pusher made; None where nothing was pushed."""
    for artifact in run.artifacts("PushedModel"):
        if destination := artifact.properties.get("pushed_destination"):
            return str(destination)
    return None


def _custom_ops(run: Run) -> str | None:
    recorded = [artifact.properties.get(CUSTOM_OPS) for artifact in run.artifacts("Model")]
    return next((str(ops) for ops in recorded if ops), None)


def _node(node: Node) -> NodeSummary:
    artifacts = [_artifact(artifact) for artifact in node.artifacts]
    return NodeSummary(id=node.id, state=node.state, seconds=node.seconds, artifacts=artifacts)


def _artifact(artifact: ArtifactRef) -> ArtifactSummary:
    return ArtifactSummary(type=artifact.type, uri=artifact.uri)


def _metrics(findings: Findings) -> dict[str, float] | None:
    return findings.evaluation.overall if findings.evaluation else None


def _quantized(record: QuantizationRecord) -> QuantizationSummary:
    return QuantizationSummary(
        mode=record.mode,
        refused={candidate.mode: candidate.reasons for candidate in record.refused},
        metric=record.metric,
        bytes=record.bytes,
        float_bytes=record.float_bytes,
        accuracy=record.value,
        float_accuracy=record.float_value,
        measured=record.measured,
        control=record.control,
    )
