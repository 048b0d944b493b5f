"""The last task of a run, where `kubeflow.runs` asks for it: the run in one file, which `slipway import` takes.

Run by Kubeflow as `python -m runners.kubeflow.record EXECUTOR_INPUT`. Kubeflow has metadata of its own; to this task it
gives all that the tasks before it have made, or taken from the cache, from which the run is written down as TFX would.
"""

import dataclasses
import datetime
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pydantic
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration.data_types_utils import set_metadata_value
from tfx.orchestration.portable.mlmd.event_lib import generate_event

from lineage.bundle import pack
from lineage.nodes import UNTIMED
from lineage.outcome import State
from lineage.recording import NewRun, begin_run, finish_run
from lineage.runs import find_run
from lineage.store import NODE, PIPELINE, RUN, create_store, pipeline_root
from pipeline.config import loads
from pipeline.fingerprint import run_fingerprint, run_inputs
from runners.kubeflow.latest_pushed import ABSENT
from runners.kubeflow.storage import path_of
from runners.kubeflow.told import told

KUBEFLOW = "kubeflow"
_KUBEFLOWS = ("display_name", "store_session_info")  # properties that it adds to each artifact


@dataclasses.dataclass(frozen=True)
class RecordedNode:
    """What is known of a node when the pipeline is compiled: `inputs` has (producer, its key), `outputs` types."""

    id: str
    type: str
    inputs: Mapping[str, tuple[str, str]]
    outputs: Mapping[str, str]


def main(executor_input: str, mounts: Path = Path("/")) -> None:
    """Writes RUNS/PIPELINE-RUN.tar, unless an earlier attempt has.

    Args:
      executor_input: As Kubeflow gives it, as JSON.
      mounts: The folder below which object stores are mounted: the root.
    """
    given = json_format.Parse(executor_input, pb.ExecutorInput(), ignore_unknown_fields=True)
    values = {name: value.string_value for name, value in given.inputs.parameter_values.items()}
    config = loads(values["config"], Path(values["folder"]))
    run_id = f"{config.name}-{values['run']}"
    file = Path(values["runs"], f"{run_id}.tar")
    if file.exists():
        return
    nodes = pydantic.TypeAdapter(list[RecordedNode]).validate_json(values["nodes"])
    inputs = run_inputs(config)
    new = NewRun(
        pipeline=config.name,
        fingerprint=run_fingerprint(inputs),
        config=values["config"],
        nodes=[node.id for node in nodes],
        edges=json.loads(values["edges"]),
        inputs=inputs,
        place=values["folder"],
        runner=KUBEFLOW,
        started=datetime.datetime.fromisoformat(values["began"]),
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = create_store(root)
        begin_run(store, root, run_id, new)
        _Writer(store, root, config.name, run_id, values["run"], mounts).write(nodes, given)
        finish_run(store, run_id, State.COMPLETE, "")
        file.parent.mkdir(parents=True, exist_ok=True)
        pack(store, root, find_run(store, root, run_id), file)


@dataclasses.dataclass
class _Writer:
    store: MetadataStore
    root: Path
    pipeline: str
    run_id: str
    kubeflows_id: str
    mounts: Path

    def write(self, nodes: Iterable[RecordedNode], given: pb.ExecutorInput) -> None:
        """An execution a node, with what it made; in the order of the graph, so that inputs are there."""
        made: dict[tuple[str, str], mlmd.Artifact] = {}
        for node in nodes:
            found = {key: given.inputs.artifacts[input_name(node.id, key)].artifacts[0] for key in node.outputs}
            outputs = {
                key: self._artifact(node, key, artifact)
                for key, artifact in found.items()
                if ABSENT not in artifact.metadata.fields
            }
            inputs = {key: made[source] for key, source in node.inputs.items() if source in made}
            # Kubeflow names the folders of outputs after the run.
            here = any(self.kubeflows_id in artifact.uri.split("/") for artifact in found.values())
            self._execution(node, inputs, outputs, cached=not here)
            made |= {(node.id, key): artifact for key, artifact in outputs.items()}

    def _artifact(self, node: RecordedNode, key: str, given: pb.RuntimeArtifact) -> mlmd.Artifact:
        """Copied to where TFX would have it, for only what is below the root folder goes into the file."""
        source, folder = Path(path_of(given.uri, self.mounts)), pipeline_root(self.root, self.pipeline) / node.id / key
        if source.exists():  # an object store has no empty folders
            shutil.copytree(source, folder)
        else:
            folder.mkdir(parents=True)
        type_id = self.store.put_artifact_type(mlmd.ArtifactType(name=node.outputs[key]))
        artifact = mlmd.Artifact(type_id=type_id, uri=str(folder), state=mlmd.Artifact.LIVE)
        for name, value in given.metadata.items():
            if name not in _KUBEFLOWS and isinstance(value, str | float | bool):
                set_metadata_value(artifact.custom_properties[name], _whole(value))
        [artifact.id] = self.store.put_artifacts([artifact])
        return artifact

    def _execution(
        self,
        node: RecordedNode,
        inputs: Mapping[str, mlmd.Artifact],
        outputs: Mapping[str, mlmd.Artifact],
        *,
        cached: bool,
    ) -> None:
        execution = mlmd.Execution(type_id=self.store.put_execution_type(mlmd.ExecutionType(name=node.type)))
        execution.last_known_state = mlmd.Execution.CACHED if cached else mlmd.Execution.COMPLETE
        execution.custom_properties[UNTIMED].int_value = 1
        pairs = [(artifact, generate_event(mlmd.Event.INPUT, key, 0)) for key, artifact in inputs.items()]
        pairs += [(artifact, generate_event(mlmd.Event.OUTPUT, key, 0)) for key, artifact in outputs.items()]
        names = {PIPELINE: self.pipeline, RUN: self.run_id, NODE: f"{self.pipeline}.{node.id}"}
        contexts = [
            mlmd.Context(
                type_id=self.store.put_context_type(mlmd.ContextType(name=kind), can_omit_fields=True), name=name
            )
            for kind, name in names.items()
        ]
        self.store.put_execution(execution, pairs, contexts, reuse_context_if_already_exist=True)


def input_name(node_id: str, key: str) -> str:
    """The input of this task that is a node's output."""
    return f"{node_id}_{key}"


def _whole(given: str | float | bool) -> str | float:
    """Kubeflow keeps every number as a double."""
    return given if isinstance(given, str) or not float(given).is_integer() else int(given)


if __name__ == "__main__":
    with told():
        main(sys.argv[1])
