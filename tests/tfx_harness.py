"""Runs one TFX component on given artifacts through TFX's own LocalDagRunner and a real SQLite MLMD."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types.artifact import Artifact

BEAM_ARGS = [
    "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner",
    "--sdk_container_image=local/none",
]


@dataclasses.dataclass(frozen=True)
class Given:
    """An artifact that exists before the component runs."""

    type: type[Artifact]
    uri: str
    properties: dict[str, Any] = dataclasses.field(default_factory=dict)
    custom_properties: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Ran:
    """The component's latest execution and its output artifacts by output key."""

    execution: mlmd.Execution
    outputs: dict[str, list[mlmd.Artifact]]

    def uri(self, key: str) -> str:
        """The folder of the only artifact under `key`."""
        [artifact] = self.outputs[key]
        return artifact.uri


def run_component(root: Path, make: Callable[..., BaseComponent], given: dict[str, Given], cache: bool = False) -> Ran:
    """Imports `given`, runs `make(**channels)` and returns what MLMD has of it; raises what the executor raised."""
    importers = {
        key: Importer(
            source_uri=artifact.uri,
            artifact_type=artifact.type,
            properties=artifact.properties,
            custom_properties=artifact.custom_properties,
        ).with_id(f"given_{key}")
        for key, artifact in given.items()
    }
    component = make(**{key: importer.outputs["result"] for key, importer in importers.items()})
    database = str(root / "metadata.sqlite")
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="one_component",
            pipeline_root=str(root / "artifacts"),
            components=[*importers.values(), component],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(database),
            enable_cache=cache,
            beam_pipeline_args=BEAM_ARGS,
        )
    )
    return latest_execution(database, component.id)


def latest_execution(database: str, node_id: str) -> Ran:
    """The newest execution of a node of the pipeline `one_component`."""
    store = metadata_store.MetadataStore(metadata.sqlite_metadata_connection_config(database))
    context = store.get_context_by_type_and_name("node", f"one_component.{node_id}")
    execution = max(store.get_executions_by_context(context.id), key=lambda found: found.id)
    outputs: dict[str, list[mlmd.Artifact]] = {}
    for event in store.get_events_by_execution_ids([execution.id]):
        if event.type in (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT):
            outputs.setdefault(event.path.steps[0].key, []).extend(store.get_artifacts_by_id([event.artifact_id]))
    return Ran(execution, outputs)
