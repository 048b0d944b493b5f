"""Why a node refused what was made, from the records that the gates leave."""

from lineage.records import EvaluationRecord, InfraRecord, QuantizationRecord
from lineage.runs import Node

_RECORDS: dict[str, type[EvaluationRecord] | type[QuantizationRecord] | type[InfraRecord]] = {
    "ModelEvaluation": EvaluationRecord,
    "QuantizationMetrics": QuantizationRecord,
    "InfraBlessing": InfraRecord,
}


def reasons_of_refusal(node: Node) -> list[str]:
    """One line a reason; empty where the node left no record of a refusal."""
    reasons = []
    for artifact in node.artifacts:
        record = _RECORDS[artifact.type].load(artifact.uri) if artifact.type in _RECORDS else None
        if record is not None and not record.blessed:
            reasons += [f"- {reason}" for reason in record.reasons]
    return reasons
