"""Whether a quantized model is good enough: a sentence for each reason why it is not."""

import dataclasses
import math

from components.quantizer.compare import ERROR, Comparison
from components.quantizer.settings import QuantizerSettings
from lineage.records import SliceDrop

_MOST_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Gate:
    """The bounds of `settings`.

    The whole split is judged by the drop itself, a slice only where its drop is significantly beyond the bound: where
    the 95 % interval lies above it as a whole. So a slice of a few examples does not refuse by luck; where nothing is
    worse than allowed, one slice in forty at the bound itself does.
    """

    settings: QuantizerSettings

    def reasons(self, found: Comparison, float_ops: list[str]) -> list[str]:
        """Why the model is refused; empty where it is not.

        Args:
          found: The quantized model against the float model.
          float_ops: Operations that compute in float though they should not.
        """
        return [
            *self._outputs(found),
            *self._overall(found),
            *self._agreement(found),
            *self._slices(found),
            *_stay_float(float_ops),
        ]

    def _outputs(self, found: Comparison) -> list[str]:
        if not found.finite:
            return ["some predictions of the quantized model are not finite"]
        if found.constant is not None:
            said = ", ".join(f"{number:.4g}" for number in found.constant[:_MOST_NAMED])
            more = ", ..." if len(found.constant) > _MOST_NAMED else ""
            return [f"the quantized model says the same about every example ({said}{more}), the float model does not"]
        return []

    def _overall(self, found: Comparison) -> list[str]:
        if found.drop <= self.settings.max_drop:
            return []
        worse = f"{found.metric} is worse than the float model's by {found.drop:.4f}{_unit(found)}"
        return [f"{worse}, at most {self.settings.max_drop:g} is allowed"]

    def _agreement(self, found: Comparison) -> list[str]:
        least = self.settings.min_agreement
        if least is None or found.agreement is None or found.agreement >= least:
            return []
        return [f"both models say the same about {found.agreement:.4f} of the examples, at least {least:g} is required"]

    def _slices(self, found: Comparison) -> list[str]:
        bound = self.settings.max_slice_drop
        if bound is None:
            return []
        beyond = [part for part in found.slices if part.interval[0] > bound]
        beyond.sort(key=lambda part: part.drop, reverse=True)
        reasons = [_slice_reason(part, found, bound) for part in beyond[:_MOST_NAMED]]
        more = len(beyond) - _MOST_NAMED
        return [*reasons, f"and on {more} more slice{'s' if more > 1 else ''}"] if more > 0 else reasons


def worst(slices: list[SliceDrop]) -> SliceDrop | None:
    """The slice that is most surely worse: with the highest lower end of the drop's interval."""
    known = [part for part in slices if math.isfinite(part.drop)]
    return max(known, key=lambda part: part.interval[0], default=None)


def _slice_reason(part: SliceDrop, found: Comparison, bound: float) -> str:
    low, high = part.interval
    return (
        f"{found.metric} on {part.name} ({part.examples} examples) is worse by {part.drop:.4f}{_unit(found)} "
        f"(95 % interval {low:.4f} to {high:.4f}), at most {bound:g} is allowed"
    )


def _stay_float(ops: list[str]) -> list[str]:
    if not ops:
        return []
    return [f"{len(ops)} operations stay float: {', '.join(sorted(set(ops)))}"]


def _unit(found: Comparison) -> str:
    return " of what always predicting the median costs" if found.metric == ERROR else ""
