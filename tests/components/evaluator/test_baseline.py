"""Claims about which model a candidate is compared with, by a Resolver over a real MLMD."""

from pathlib import Path

from ml_metadata import metadata_store
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import Channel
from tfx.types.standard_artifacts import Model, ModelBlessing

from components.evaluator.baseline import BaselineStrategy


class Store:
    """Models and verdicts in a real MLMD, and what a Resolver with the BaselineStrategy finds in it."""

    def __init__(self, root: Path):
        self._root = root
        self._database = str(root / "metadata.sqlite")

    def train(self, name: str) -> Importer:
        """Registers a model, once; its name is the folder it lies in."""
        folder = self._root / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        model = Importer(source_uri=str(folder), artifact_type=Model).with_id("model")
        self._run([model])
        return model

    def judge(self, name: str, *, blessed: bool) -> None:
        """Registers the Evaluator's verdict on a model."""
        [model] = self._store().get_artifacts_by_uri(str(self._root / "models" / name))
        folder = self._root / "blessings" / name
        folder.mkdir(parents=True)
        verdict = {"blessed": int(blessed), "current_model_id": model.id}
        blessing = Importer(source_uri=str(folder), artifact_type=ModelBlessing, custom_properties=verdict)
        self._run([blessing.with_id("blessing")])

    def baseline_of(self, candidate: str) -> str | None:
        """Name of the model that `candidate`, trained or found in the cache, is compared with."""
        model = self.train(candidate)
        resolver = Resolver(
            strategy_class=BaselineStrategy,
            candidate=model.outputs["result"],
            model=Channel(type=Model),
            model_blessing=Channel(type=ModelBlessing),
        ).with_id("Baseline")
        self._run([model, resolver])
        [context] = [c for c in self._store().get_contexts_by_type("node") if c.name == "one_component.Baseline"]
        execution = max(self._store().get_executions_by_context(context.id), key=lambda found: found.id)
        events = self._store().get_events_by_execution_ids([execution.id])
        found = [event.artifact_id for event in events if event.path.steps[0].key == "model"]
        return Path(self._store().get_artifacts_by_id(found)[0].uri).name if found else None

    def _run(self, nodes: list[BaseNode]) -> None:
        LocalDagRunner().run(
            Pipeline(
                pipeline_name="one_component",
                pipeline_root=str(self._root / "artifacts"),
                components=nodes,
                metadata_connection_config=metadata.sqlite_metadata_connection_config(self._database),
            )
        )

    def _store(self) -> metadata_store.MetadataStore:
        return metadata_store.MetadataStore(metadata.sqlite_metadata_connection_config(self._database))


def test_there_is_no_baseline_at_first(tmp_path: Path) -> None:
    assert Store(tmp_path).baseline_of("a") is None


def test_baseline_is_the_latest_blessed_model_that_is_older_than_the_candidate(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, blessed in (("a", True), ("b", True), ("c", False)):
        store.train(name)
        store.judge(name, blessed=blessed)
    assert store.baseline_of("d") == "b", "c is newer, but was refused"
    store.judge("d", blessed=True)
    store.train("e")
    store.judge("e", blessed=True)
    assert store.baseline_of("d") == "b", "not the candidate itself, nor e, which is newer"
    assert store.baseline_of("b") == "a"
    assert store.baseline_of("a") is None
    assert store.baseline_of("f") == "e"
