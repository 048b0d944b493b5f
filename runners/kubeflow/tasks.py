"""From TFX's IR to the tasks of a Kubeflow pipeline: the same nodes, one task before them, and one after.

TFX has a compiler of its own for Kubeflow. It refuses artifact types and resolvers that are not TFX's; what it makes of
a resolver, and of the driver of an ExampleGen, only Vertex AI runs; and it has no words for what a node asks of a
cluster. Here every node is an ordinary container:

- **Begin**, never cached, stands in for the driver: it says what the files of the data are now, as parameters of
  ExampleGen, whose cache key they are in.
- **Baseline** and **BaseModel**, resolvers elsewhere, take the newest model of the folder that the Pusher pushes to,
  for there is no metadata store of ours. They are cached by what they are given: so a candidate, or a training, that
  has met its model meets the same one again.
- **Record**, where the config asks for it, takes what all of them have made and writes the run to a file.
"""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp.dsl import PIPELINE_JOB_ID_PLACEHOLDER
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration.local.runner_utils import extract_executor_spec, extract_local_deployment_config
from tfx.proto.orchestration import executable_spec_pb2, pipeline_pb2
from tfx.utils.name_utils import get_full_name

from pipeline.config import Config
from pipeline.fingerprint import code_inputs
from pipeline.ir import edges
from runners.kubeflow.begin import BEGAN, DRIVEN, FOUND
from runners.kubeflow.latest_pushed import LatestPushed
from runners.kubeflow.record import RecordedNode, input_name

Value = str | int | float

BEGIN = "Begin"
RECORD = "Record"
_RESOLVER = get_full_name(Resolver)


@dataclasses.dataclass(frozen=True)
class Artifact:
    """The output `key` of the task `producer`; `type_name` is TFX's name of its type."""

    producer: str
    key: str
    type_name: str


@dataclasses.dataclass(frozen=True)
class Task:
    """What runs in a pod of its own. `executor` is the class that does a node's work, "" for Begin and Record."""

    id: str
    after: list[str]
    parameters: dict[str, Value]
    executor: str = ""
    inputs: dict[str, Artifact] = dataclasses.field(default_factory=dict)
    outputs: dict[str, str] = dataclasses.field(default_factory=dict)
    beam_args: list[str] = dataclasses.field(default_factory=list)
    from_begin: tuple[str, ...] = ()


def tasks(ir: pipeline_pb2.Pipeline, config: Config) -> list[Task]:
    """The tasks of a compiled pipeline, with the paths that its files have in the image; Begin is the first."""
    nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}
    found = [_task(node, nodes, ir) for node in nodes.values()]
    ingest = nodes["ExampleGen"]
    begin: dict[str, Value] = {"config": config.to_yaml(), "folder": config.kubeflow.folder}
    begin["code"] = json.dumps(code_inputs(config))
    begin |= {name: value for name, value in _parameters(ingest).items() if name in DRIVEN}
    last = [_record(ir, config)] if config.kubeflow.runs else []
    return [_in_image(task, config) for task in (Task(BEGIN, [], begin), *found, *last)]


def _record(ir: pipeline_pb2.Pipeline, config: Config) -> Task:
    """After all others, of which it takes all that they make."""
    nodes = [_recorded(node.pipeline_node) for node in ir.nodes]
    made = [(node.id, key, type_name) for node in nodes for key, type_name in node.outputs.items()]
    return Task(
        RECORD,
        [node.id for node in nodes],
        {
            "config": config.to_yaml(),
            "folder": config.kubeflow.folder,
            "runs": config.kubeflow.runs or "",
            "nodes": json.dumps([dataclasses.asdict(node) for node in nodes]),
            "edges": json.dumps(edges(ir)),
            "run": PIPELINE_JOB_ID_PLACEHOLDER,
        },
        inputs={input_name(node_id, key): Artifact(node_id, key, type_name) for node_id, key, type_name in made},
        from_begin=(BEGAN,),
    )


def _recorded(node: Any) -> RecordedNode:
    inputs = {key: (made.producer, made.key) for key, spec in node.inputs.inputs.items() for made in _produced(spec)}
    return RecordedNode(node.node_info.id, node.node_info.type.name, inputs, _outputs(node))


def _outputs(node: Any) -> dict[str, str]:
    """Types by key; what stands for a resolver finds a model."""
    if node.node_info.type.name == _RESOLVER:
        return {"model": "Model"}
    return {key: spec.artifact_spec.type.name for key, spec in node.outputs.outputs.items()}


def _task(node: Any, nodes: dict[str, Any], ir: pipeline_pb2.Pipeline) -> Task:
    node_id = node.node_info.id
    if node.node_info.type.name == _RESOLVER:
        return _lookup(node, nodes)
    executor, beam_args = _executor(ir, node_id)
    reads = node_id == "ExampleGen"
    return Task(
        node_id,
        [*node.upstream_nodes, BEGIN] if reads else list(node.upstream_nodes),
        {name: value for name, value in _parameters(node).items() if not reads or name not in FOUND},
        executor,
        {key: artifact for key, spec in node.inputs.inputs.items() for artifact in _produced(spec)},
        _outputs(node),
        beam_args,
        FOUND if reads else (),
    )


def _lookup(node: Any, nodes: dict[str, Any]) -> Task:
    """In the place of a resolver; what BaseModel begins is the Trainer's, whose properties it is cached by."""
    given = _parameters(nodes["Trainer"]) if node.node_info.id == "BaseModel" else {}
    inputs = [artifact for spec in node.inputs.inputs.values() for artifact in _produced(spec)]
    return Task(
        node.node_info.id,
        list(node.upstream_nodes),
        {**given, "destination": _parameters(nodes["Pusher"])["destination"]},
        get_full_name(LatestPushed),
        {artifact.key: artifact for artifact in inputs},
        _outputs(node),
    )


def _produced(spec: Any) -> Iterator[Artifact]:
    """The artifact of an input, if a node of the pipeline makes it."""
    for channel in spec.channels:
        if channel.producer_node_query.id:
            yield Artifact(channel.producer_node_query.id, channel.output_key, channel.artifact_query.type.name)


def _parameters(node: Any) -> dict[str, Value]:
    values = {name: given.field_value for name, given in node.parameters.parameters.items()}
    return {name: getattr(value, value.WhichOneof("value")) for name, value in sorted(values.items())}


def _executor(ir: pipeline_pb2.Pipeline, node_id: str) -> tuple[str, list[str]]:
    """The executor's class, and the arguments of Beam where it is one of Beam's."""
    spec = extract_executor_spec(extract_local_deployment_config(ir), node_id)
    if isinstance(spec, executable_spec_pb2.BeamExecutableSpec):
        return spec.python_executor_spec.class_path, list(spec.beam_pipeline_args)
    return spec.class_path, []


def _in_image(task: Task, config: Config) -> Task:
    """Paths below the folder of pipeline.yaml become those in the image, the same wherever one compiles."""
    below = re.compile(re.escape(str(Path(config.folder))) + r'(?=/|"|$)')
    moved = {
        name: below.sub(lambda _: config.kubeflow.folder, value) if isinstance(value, str) else value
        for name, value in task.parameters.items()
    }
    return dataclasses.replace(task, parameters=moved)
