"""Kubeflow's pipeline specification (schema 2.1) of tasks: components, wiring, containers, resources, caching."""

import importlib.metadata
import json
from collections.abc import Sequence

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
from tfx.orchestration.kubeflow.v2.compiler_utils import TITLE_TO_CLASS_PATH, get_artifact_schema
from tfx.utils.import_utils import import_class_by_path
from tfx.utils.name_utils import get_full_name

from components import artifacts
from pipeline.config import Config
from pipeline.nodes import NODE_IDS, PUSHER, NodeSettings
from runners.kubeflow.begin import BEGAN, FOUND
from runners.kubeflow.tasks import BEGIN, RECORD, Artifact, Task, Value

_SCHEMA_VERSION = "2.1.0"
_GB = 1e9
_OWN = {BEGIN: "runners.kubeflow.begin", RECORD: "runners.kubeflow.record"}
_TYPES = {int: pb.ParameterType.NUMBER_INTEGER, float: pb.ParameterType.NUMBER_DOUBLE, str: pb.ParameterType.STRING}


def pipeline_spec(tasks: Sequence[Task], config: Config) -> pb.PipelineSpec:
    """The specification that Kubeflow Pipelines and Vertex AI read."""
    spec = pb.PipelineSpec(
        pipeline_info=pb.PipelineInfo(name=config.name.replace("_", "-")),
        default_pipeline_root=config.kubeflow.pipeline_root or "",
        schema_version=_SCHEMA_VERSION,
        sdk_version=f"slipway-{importlib.metadata.version('slipway')}",
    )
    deployment = pb.PipelineDeploymentConfig()
    for task in tasks:
        spec.components[task.id].CopyFrom(_component(task))
        spec.root.dag.tasks[task.id].CopyFrom(_wiring(task, settings_of(task, config)))
        deployment.executors[executor_label(task)].container.CopyFrom(_container(task, config))
    spec.deployment_spec.update(json_format.MessageToDict(deployment))
    return spec


def executor_label(task: Task) -> str:
    """The name by which a component finds its container."""
    return f"exec-{task.id}"


def settings_of(task: Task, config: Config) -> NodeSettings:
    """What a task may take: Begin and Record, which are no nodes, what holds for all."""
    common: NodeSettings = config.nodes.all
    return config.nodes.of(task.id) if task.id in NODE_IDS else common


def _component(task: Task) -> pb.ComponentSpec:
    component = pb.ComponentSpec(executor_label=executor_label(task), input_definitions=_inputs(task))
    for key, type_name in task.outputs.items():
        component.output_definitions.artifacts[key].artifact_type.CopyFrom(_artifact_type(type_name))
    if task.id == BEGIN:
        for name in (*FOUND, BEGAN):
            component.output_definitions.parameters[name].parameter_type = pb.ParameterType.STRING
    return component


def _inputs(task: Task) -> pb.ComponentInputsSpec:
    inputs = pb.ComponentInputsSpec()
    for key, artifact in task.inputs.items():
        inputs.artifacts[key].artifact_type.CopyFrom(_artifact_type(artifact.type_name))
    for name, value in task.parameters.items():
        inputs.parameters[name].parameter_type = _TYPES[type(value)]
    for name in task.from_begin:
        inputs.parameters[name].parameter_type = pb.ParameterType.STRING
    return inputs


def _artifact_type(type_name: str) -> pb.ArtifactTypeSchema:
    """TFX's types have schemas there; ours are found in the task by the title, the path of the class."""
    title = f"tfx.{type_name}"
    if title in TITLE_TO_CLASS_PATH:
        schema = get_artifact_schema(import_class_by_path(TITLE_TO_CLASS_PATH[title]))
        return pb.ArtifactTypeSchema(instance_schema=schema)
    own = {"title": get_full_name(getattr(artifacts, type_name)), "type": "object"}
    return pb.ArtifactTypeSchema(instance_schema=yaml.safe_dump(own, sort_keys=False))


def _wiring(task: Task, settings: NodeSettings) -> pb.PipelineTaskSpec:
    """Begin looks at the data as they are now, and Record at the run, so they are never cached."""
    wiring = pb.PipelineTaskSpec(
        task_info=pb.PipelineTaskInfo(name=task.id),
        component_ref=pb.ComponentRef(name=task.id),
        dependent_tasks=sorted(task.after),
    )
    wiring.caching_options.enable_cache = task.id not in (BEGIN, PUSHER, RECORD)
    if settings.retries:
        wiring.retry_policy.max_retry_count = settings.retries
    for key, artifact in task.inputs.items():
        _connect(wiring, key, artifact)
    for name, value in task.parameters.items():
        _set(wiring, name, value)
    for name in task.from_begin:
        source = wiring.inputs.parameters[name].task_output_parameter
        source.producer_task, source.output_parameter_key = BEGIN, name
    return wiring


def _connect(wiring: pb.PipelineTaskSpec, key: str, artifact: Artifact) -> None:
    source = wiring.inputs.artifacts[key].task_output_artifact
    source.producer_task, source.output_artifact_key = artifact.producer, artifact.key


def _set(wiring: pb.PipelineTaskSpec, name: str, value: Value) -> None:
    constant = wiring.inputs.parameters[name].runtime_value.constant
    if isinstance(value, str):
        constant.string_value = value
    else:
        constant.number_value = value


def _container(task: Task, config: Config) -> pb.PipelineDeploymentConfig.PipelineContainerSpec:
    container = pb.PipelineDeploymentConfig.PipelineContainerSpec(
        image=config.kubeflow.image or "", command=["python", "-m"], resources=_resources(settings_of(task, config))
    )
    if task.id in _OWN:
        container.args.extend([_OWN[task.id], "{{$}}"])
        return container
    inputs = json.dumps(json_format.MessageToDict(_inputs(task)), sort_keys=True)
    container.args.extend(
        [
            "runners.kubeflow.task",
            f"--executor_class_path={task.executor}",
            "--json_serialized_invocation_args={{$}}",
            f"--json_serialized_inputs_spec_args={inputs}",
            *task.beam_args,
        ]
    )
    return container


def _resources(settings: NodeSettings) -> pb.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec:
    """CPUs and memory are both what is asked for and the limit: a pod that was promised less is the first to go."""
    resources = pb.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec()
    if settings.cpus:
        resources.cpu_request = resources.cpu_limit = settings.cpus
    if settings.memory:
        resources.memory_request = resources.memory_limit = settings.memory / _GB
    if settings.gpus:
        resources.accelerator.type, resources.accelerator.count = settings.gpu, settings.gpus
    return resources
