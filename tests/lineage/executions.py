"""Writes runs and executions into a real ML Metadata store the way TFX does, for tests that need no TFX."""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.recording import NewRun, begin_run

PIPELINE = "digits"
CHAIN = ["Make", "Train", "Push"]
RESOLVER = "tfx.dsl.components.common.resolver.Resolver"
EXECUTOR = "components.some.executor.Executor"


@dataclasses.dataclass(frozen=True)
class Output:
    """An artifact to register as an output of an execution."""

    type: str
    key: str
    uri: str
    properties: dict[str, Any] = dataclasses.field(default_factory=dict)


def begin(store: MetadataStore, root: Path, run_id: str, fingerprint: str = "same", nodes: list[str] = CHAIN) -> None:
    """Begins a run of a chain of nodes."""
    edges = list(itertools.pairwise(nodes))
    begin_run(store, root, run_id, NewRun(PIPELINE, fingerprint, "name: digits\n", nodes, edges))


def execute(
    store: MetadataStore,
    run_id: str,
    node: str,
    state: int = mlmd.Execution.COMPLETE,
    outputs: list[Output] | None = None,
    reuse: list[int] | None = None,
    executor: str = EXECUTOR,
    pipeline: str = PIPELINE,
    inputs: list[int] | None = None,
) -> tuple[int, list[int]]:
    """Registers an execution with new outputs, or with `reuse`, artifacts that exist; returns its id and theirs.

    `inputs` are artifacts that it reads; their ids are not among the returned.
    """
    node_type = store.put_context_type(mlmd.ContextType(name="node"))
    contexts = [
        store.get_context_by_type_and_name("pipeline_run", run_id),
        store.get_context_by_type_and_name("node", f"{pipeline}.{node}")
        or mlmd.Context(type_id=node_type, name=f"{pipeline}.{node}"),
    ]
    execution_type = store.put_execution_type(mlmd.ExecutionType(name=executor))
    execution = mlmd.Execution(type_id=execution_type, last_known_state=state)
    pairs = [(_artifact(store, output), _event(output.key)) for output in outputs or []]
    pairs += [(artifact, _event("model")) for artifact in (store.get_artifacts_by_id(reuse) if reuse else [])]
    made = len(pairs)
    read = store.get_artifacts_by_id(inputs) if inputs else []
    pairs += [(artifact, mlmd.Event(type=mlmd.Event.INPUT)) for artifact in read]
    execution_id, artifact_ids, _ = store.put_execution(execution, pairs, contexts, reuse_context_if_already_exist=True)
    return execution_id, artifact_ids[:made]


def _artifact(store: MetadataStore, output: Output) -> mlmd.Artifact:
    artifact = mlmd.Artifact(
        type_id=store.put_artifact_type(mlmd.ArtifactType(name=output.type)), uri=output.uri, state=mlmd.Artifact.LIVE
    )
    for name, value in output.properties.items():
        field = {int: "int_value", float: "double_value", str: "string_value"}[type(value)]
        setattr(artifact.custom_properties[name], field, value)
    return artifact


def _event(key: str) -> mlmd.Event:
    event = mlmd.Event(type=mlmd.Event.OUTPUT)
    event.path.steps.add().key = key
    event.path.steps.add().index = 0
    return event
