"""Claims about which model a training begins with, on executions and verdicts in a real MLMD."""

from pathlib import Path

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration import metadata
from tfx.types.artifact_utils import deserialize_artifact

from components.trainer.latest_blessed import LatestBlessedStrategy

TYPES = ("Examples", "Model", "ModelBlessing")


class Store:
    """Trainings and verdicts, written as TFX does."""

    def __init__(self, root: Path):
        self._store = metadata_store.MetadataStore(
            metadata.sqlite_metadata_connection_config(str(root / "metadata.sqlite"))
        )
        self._types = {name: self._store.put_artifact_type(mlmd.ArtifactType(name=name)) for name in TYPES}

    def put(self, kind: str, uri: str, **properties: int) -> int:
        """A live artifact."""
        artifact = mlmd.Artifact(type_id=self._types[kind], uri=uri, state=mlmd.Artifact.LIVE)
        for name, value in properties.items():
            artifact.custom_properties[name].int_value = value
        return int(self._store.put_artifacts([artifact])[0])

    def train(self, examples: int, base_model: int | None = None, *, blessed: bool = True, **properties: str) -> int:
        """A training that is done: its model."""
        kind = self._store.put_execution_type(mlmd.ExecutionType(name="components.trainer.component.Trainer"))
        execution = mlmd.Execution(type_id=kind, last_known_state=mlmd.Execution.COMPLETE)
        for name, value in properties.items():
            execution.custom_properties[name].string_value = value
        model = self.put("Model", f"model of {properties} on {examples}")
        inputs = {"examples": examples} | ({"base_model": base_model} if base_model else {})
        pairs = [(self._get(found), _event(mlmd.Event.INPUT, key)) for key, found in inputs.items()]
        pairs.append((self._get(model), _event(mlmd.Event.OUTPUT, "model")))
        self._store.put_execution(execution, pairs, [])
        self.put("ModelBlessing", f"verdict on {model}", blessed=int(blessed), current_model_id=model)
        return model

    def remove(self, model: int) -> None:
        """Marks a model as deleted."""
        artifact = self._get(model)
        artifact.state = mlmd.Artifact.DELETED
        self._store.put_artifacts([artifact])

    def begins_with(self, examples: int, **properties: str) -> int | None:
        """The model that a training begins with."""
        strategy = LatestBlessedStrategy(properties)
        given = {"examples": [self._get(examples)]} | {
            key: [a for a in self._store.get_artifacts_by_type(kind) if a.state == mlmd.Artifact.LIVE]
            for key, kind in (("model", "Model"), ("model_blessing", "ModelBlessing"))
        }
        kinds = {kind.id: kind for kind in self._store.get_artifact_types()}
        found = strategy.resolve_artifacts(
            self._store, {key: [deserialize_artifact(kinds[a.type_id], a) for a in all_] for key, all_ in given.items()}
        )
        assert [artifact.id for artifact in found["examples"]] == [examples]
        return found["model"][0].id if found["model"] else None

    def _get(self, artifact: int) -> mlmd.Artifact:
        return self._store.get_artifacts_by_id([artifact])[0]


def _event(kind: int, key: str) -> mlmd.Event:
    event = mlmd.Event(type=kind)
    event.path.steps.add().key = key
    event.path.steps.add().index = 0
    return event


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_there_is_nothing_to_begin_with_before_a_model_is_blessed(store: Store) -> None:
    data = store.put("Examples", "data")
    assert store.begins_with(data, settings="a") is None
    store.train(data, settings="b", blessed=False)
    assert store.begins_with(data, settings="a") is None


def test_a_new_training_begins_with_the_latest_blessed_model(store: Store) -> None:
    data, more = store.put("Examples", "data"), store.put("Examples", "more")
    first = store.train(data, settings="a")
    second = store.train(data, first, settings="b")
    store.train(data, second, settings="c", blessed=False)
    assert store.begins_with(data, settings="d") == second
    assert store.begins_with(more, settings="a") == second
    assert store.begins_with(data, settings="a", weight="w") == second


def test_a_training_that_was_done_begins_with_what_it_began_with(store: Store) -> None:
    data = store.put("Examples", "data")
    first = store.train(data, settings="a", weight="w")
    second = store.train(data, first, settings="b")
    assert store.begins_with(data, settings="a", weight="w") is None
    assert store.begins_with(data, settings="b", weight="") == first
    assert store.begins_with(data, settings="c") == second


def test_what_a_cached_training_began_with_need_not_be_there_any_more(store: Store) -> None:
    data = store.put("Examples", "data")
    first = store.train(data, settings="a")
    second = store.train(data, first, settings="b")
    store.remove(first)
    assert store.begins_with(data, settings="b") == first
    store.remove(second)  # then it has to be trained again, and can only begin with what is there
    assert store.begins_with(data, settings="b") is None
