"""Whether a push may happen: every verdict that is connected has to bless the model."""

from collections.abc import Mapping

from tfx.types.artifact import Artifact

from components.artifacts import QuantizationBlessing
from lineage.outcome import GateRefused
from lineage.records import InfraRecord

_JUDGES = {
    "model_blessing": "the Evaluator",
    "quantization_blessing": "the Quantizer",
    "infra_blessing": "the InfraValidator",
}


def check_blessings(inputs: Mapping[str, list[Artifact]]) -> None:
    """Raises GateRefused unless every blessing among the component's inputs blesses.

    An input that is connected but brought no artifact is a verdict that was never given: it refuses too.
    """
    reasons = []
    for key, judge in _JUDGES.items():
        if key not in inputs:
            continue
        if not inputs[key]:
            reasons.append(f"{judge} gave no verdict")
        reasons += [_reason(judge, artifact) for artifact in inputs[key] if not _is_blessed(artifact)]
    if reasons:
        raise GateRefused("\n".join(["The push was refused; nothing was copied.", *reasons]))


def _is_blessed(blessing: Artifact) -> bool:
    if blessing.type_name == QuantizationBlessing.TYPE_NAME:
        return bool(blessing.blessed == 1)
    return bool(blessing.get_int_custom_property("blessed") == 1)


def _reason(judge: str, blessing: Artifact) -> str:
    record = InfraRecord.load(blessing.uri) if judge == _JUDGES["infra_blessing"] else None
    details = f": {' '.join(record.reasons)}" if record else f" ({blessing.uri})"
    return f"{judge} did not bless the model{details}"
