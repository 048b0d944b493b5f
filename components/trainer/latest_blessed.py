"""Which model a training begins with where `warm_start` is `latest_blessed`: decided once for each training.

The latest blessed model is, after a run, the one that the run has made. With TFX's own strategy a rerun of what has not
changed would find it as a new input of the Trainer, train again, push again, and so on for ever. What the Trainer is
given here is a function of what else it is given: the model that the latest training with the same inputs and
properties began with, if there was one, else the latest blessed model. So a rerun is cached, and so is one that goes
back to what was before; any edit of data, code or settings begins with the best there is. The choice is an input of
the Trainer like the others, not something that its executor looks up: it is in the cache key, in the name of the
checkpoints of a training that is killed, and in the lineage.
"""

from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.orchestration.portable.mlmd import event_lib
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import deserialize_artifact

from components.evaluator.baseline import blessings_by_model

BASE_MODEL = "base_model"  # the Trainer's input, named as in TFX's Trainer

_MODEL, _BLESSING = "model", "model_blessing"
_Artifacts = dict[str, list[Artifact]]


class LatestBlessedStrategy(ResolverStrategy):
    """Resolves `model` to the model to begin with, or to none.

    Use it with a Resolver over the channels `model`, `model_blessing`, and all inputs of the Trainer under their own
    names.

    Args:
      properties: Execution properties of the Trainer that make two trainings alike, empty those that are not set.
    """

    def __init__(self, properties: dict[str, str]):
        self._properties = properties

    def resolve_artifacts(self, store: mlmd.MetadataStore, input_dict: _Artifacts) -> _Artifacts:
        """The Trainer's inputs as they are, `model` as said, and no blessing."""
        begun = self._alike(store, input_dict)
        if begun is None:
            blessings = blessings_by_model(input_dict[_BLESSING])
            blessed = [model for model in input_dict[_MODEL] if model.id in blessings]
            models = sorted(blessed, key=lambda model: model.id)[-1:]
        else:
            models = _artifacts(store, begun.get(BASE_MODEL, []))
        return {**input_dict, _MODEL: models, _BLESSING: []}

    def _alike(self, store: mlmd.MetadataStore, input_dict: _Artifacts) -> dict[str, list[int]] | None:
        """Ids of the inputs of the latest training that was like this one and whose model is still there."""
        given = {
            key: sorted(artifact.id for artifact in artifacts)
            for key, artifacts in input_dict.items()
            if key not in (_MODEL, _BLESSING)
        }
        made = store.get_events_by_artifact_ids([model.id for model in input_dict[_MODEL]])
        ids = {event.execution_id for event in made if event_lib.is_valid_output_event(event)}
        for execution in sorted(store.get_executions_by_id(ids), key=lambda execution: execution.id, reverse=True):
            if all(_property(execution, name) == value for name, value in self._properties.items()):
                inputs = _inputs(store, execution.id)
                if {key: ids for key, ids in inputs.items() if key != BASE_MODEL} == given:
                    return inputs
        return None


def _property(execution: metadata_store_pb2.Execution, name: str) -> str:
    return execution.custom_properties[name].string_value if name in execution.custom_properties else ""


def _inputs(store: mlmd.MetadataStore, execution: int) -> dict[str, list[int]]:
    events = store.get_events_by_execution_ids([execution])
    inputs = event_lib.reconstruct_artifact_id_multimap([e for e in events if event_lib.is_valid_input_event(e)])
    return {key: sorted(ids) for key, ids in inputs.items()}


def _artifacts(store: mlmd.MetadataStore, ids: list[int]) -> list[Any]:
    """Artifacts that need not be live: the model that a cached training began with may have been removed since."""
    found = store.get_artifacts_by_id(ids)
    types = store.get_artifact_types_by_id([artifact.type_id for artifact in found]) if found else []
    return [deserialize_artifact(kind, artifact) for kind, artifact in zip(types, found, strict=True)]
