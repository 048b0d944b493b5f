"""Which model the candidate is compared with: the latest blessed one that is older than the candidate.

TFX's own strategy takes the latest blessed model of all. In a rerun that finds everything cached this is the candidate
itself: the Evaluator would get a new input, run again, and bless and push the same model a second time.
"""

import ml_metadata as mlmd
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.types.artifact import Artifact


class BaselineStrategy(ResolverStrategy):
    """Resolves `model` to the latest blessed model older than the only `candidate`, or to none.

    Use it with a Resolver over the channels `candidate`, `model` and `model_blessing`.
    """

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """A pure function of the candidate, so that a cached candidate meets the same baseline again."""
        candidates = input_dict["candidate"]
        blessings = blessings_by_model(input_dict["model_blessing"])
        older = [m for m in input_dict["model"] if m.id in blessings and all(m.id < c.id for c in candidates)]
        latest = sorted(older, key=lambda model: model.id)[-1:]
        return {"candidate": candidates, "model": latest, "model_blessing": [blessings[m.id] for m in latest]}


def blessings_by_model(blessings: list[Artifact]) -> dict[int, Artifact]:
    """Those of the Evaluator's verdicts that bless, by the id of the model."""
    return {
        blessing.get_int_custom_property("current_model_id"): blessing
        for blessing in blessings
        if blessing.get_int_custom_property("blessed") == 1
    }
