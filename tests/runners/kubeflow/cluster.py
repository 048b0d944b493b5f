"""What Kubeflow Pipelines does with a compiled pipeline, without Kubernetes: it resolves the inputs of each task, looks
it up in the cache, and runs the container's command with the task's ExecutorInput.

Written after what its driver and launcher do: inputs come with the title of their type alone, and with two properties
more; the cache key is what goes in (artifacts by id, parameters by value), what comes out, the image and the command.
"""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.dsl import PIPELINE_JOB_ID_PLACEHOLDER
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from tests.forked import Forked

Launch = Callable[[list[str], Path], int]


def as_process(command: list[str], log: Path) -> int:
    """As the launcher does: the exit code of the command."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with log.open("w") as file:
        return subprocess.run(
            command, cwd=log.parent, env=environment, stdout=file, stderr=file, check=False
        ).returncode


def as_fork(command: list[str], log: Path) -> int:
    """The same in a process whose imports a fork server has done, which saves ten seconds a task."""
    assert command[:2] == ["python", "-m"]
    return Forked(*command[2:], output=log, cwd=log.parent).wait()


@dataclasses.dataclass
class Done:
    """A task that has run, or was found in the cache."""

    artifacts: dict[str, pb.RuntimeArtifact]
    parameters: dict[str, str]
    cached: bool = False

    @property
    def types(self) -> list[str]:
        """Names of the artifacts' types, without where their classes are."""
        return [artifact.type.schema_title.rpartition(".")[2] for artifact in self.artifacts.values()]


class Cluster:
    """One cluster: its cache and its artifacts outlive a run."""

    def __init__(self, folder: Path, launch: Launch):
        self.folder = folder
        self._launch = launch
        self._cache: dict[str, Done] = {}
        self._ids = itertools.count(1)
        self.runs = 0

    def run(self, package: Path) -> dict[str, Done]:
        """Runs all tasks; asserts that each succeeds."""
        self.runs += 1
        spec = read(package)
        done: dict[str, Done] = {}
        while len(done) < len(spec.root.dag.tasks):
            ready = [
                name
                for name, task in spec.root.dag.tasks.items()
                if name not in done and set(task.dependent_tasks) <= set(done)
            ]
            assert ready, "tasks that wait for one another"
            for name in ready:
                done[name] = self._task(spec, name, done)
        return done

    @property
    def _run_id(self) -> str:
        return f"run-{self.runs}"

    def log(self, name: str) -> str:
        """What a task of the latest run has logged."""
        return (self._work(name) / "log.txt").read_text()

    def try_task(self, package: Path, name: str, done: dict[str, Done]) -> int:
        """Runs one task in a run of its own, whatever the cache says; its exit code."""
        self.runs += 1
        spec = read(package)
        return self._launched(spec, name, self._executor_input(spec, name, done))

    def _task(self, spec: pb.PipelineSpec, name: str, done: dict[str, Done]) -> Done:
        given = self._executor_input(spec, name, done)
        key = self._key(spec, name, given)
        if spec.root.dag.tasks[name].caching_options.enable_cache and key in self._cache:
            return dataclasses.replace(self._cache[key], cached=True)
        exit_code = self._launched(spec, name, given)
        assert exit_code == 0, self.log(name)
        self._cache[key] = self._collected(given)
        return self._cache[key]

    def _launched(self, spec: pb.PipelineSpec, name: str, given: pb.ExecutorInput) -> int:
        container = _container(spec, name)
        text = json_format.MessageToJson(given, indent=None)
        command = [argument.replace("{{$}}", text) for argument in (*container["command"], *container["args"])]
        return self._launch(command, self._work(name) / "log.txt")

    def _work(self, name: str) -> Path:
        folder = self.folder / "work" / str(self.runs) / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _executor_input(self, spec: pb.PipelineSpec, name: str, done: dict[str, Done]) -> pb.ExecutorInput:
        task, component = spec.root.dag.tasks[name], spec.components[name]
        given = pb.ExecutorInput()
        for key, source in task.inputs.artifacts.items():
            made = source.task_output_artifact
            given.inputs.artifacts[key].artifacts.append(done[made.producer_task].artifacts[made.output_artifact_key])
        for key, parameter in task.inputs.parameters.items():
            made = parameter.task_output_parameter
            if made.producer_task:
                text = done[made.producer_task].parameters[made.output_parameter_key]
                given.inputs.parameter_values[key].string_value = text
            elif parameter.runtime_value.constant.string_value == PIPELINE_JOB_ID_PLACEHOLDER:
                given.inputs.parameter_values[key].string_value = self._run_id
            else:
                given.inputs.parameter_values[key].CopyFrom(parameter.runtime_value.constant)
        given.outputs.output_file = str(self._work(name) / "kfp_outputs" / "output_metadata.json")
        for key, output in component.output_definitions.artifacts.items():
            uri = str(self.folder / "artifacts" / self._run_id / name / key)
            given.outputs.artifacts[key].artifacts.append(pb.RuntimeArtifact(uri=uri, type=output.artifact_type))
        log = pb.RuntimeArtifact(uri=str(self._work(name)), type=pb.ArtifactTypeSchema(schema_title="system.Artifact"))
        given.outputs.artifacts["executor-logs"].artifacts.append(log)
        for key in component.output_definitions.parameters:
            given.outputs.parameters[key].output_file = str(self._work(name) / "kfp_outputs" / key)
        return given

    def _key(self, spec: pb.PipelineSpec, name: str, given: pb.ExecutorInput) -> str:
        container = _container(spec, name)
        artifacts = {key: [one.name for one in some.artifacts] for key, some in given.inputs.artifacts.items()}
        parameters = {key: json_format.MessageToJson(value) for key, value in given.inputs.parameter_values.items()}
        outputs = sorted([*given.outputs.artifacts, *given.outputs.parameters])
        parts = [artifacts, parameters, outputs, container["image"], container["command"], container["args"]]
        return json.dumps(parts, sort_keys=True)

    def _collected(self, given: pb.ExecutorInput) -> Done:
        file = Path(given.outputs.output_file)
        text = file.read_text() if file.exists() else "{}"
        said = json_format.Parse(text, pb.ExecutorOutput())
        artifacts = {}
        for key, some in given.outputs.artifacts.items():
            if key == "executor-logs":
                continue
            [artifact] = some.artifacts
            [made] = said.artifacts[key].artifacts
            assert made.uri == artifact.uri
            title = yaml.safe_load(artifact.type.instance_schema)["title"]
            artifacts[key] = pb.RuntimeArtifact(
                name=str(next(self._ids)), uri=artifact.uri, type=pb.ArtifactTypeSchema(schema_title=title)
            )
            artifacts[key].metadata.update({"display_name": key, "store_session_info": "{}", **made.metadata})
        parameters = {key: Path(one.output_file).read_text() for key, one in given.outputs.parameters.items()}
        return Done(artifacts, parameters)


def read(package: Path) -> pb.PipelineSpec:
    """The first document of the YAML."""
    document = next(yaml.safe_load_all(package.read_text()))
    return json_format.ParseDict(document, pb.PipelineSpec())


def _container(spec: pb.PipelineSpec, name: str) -> dict[str, Any]:
    label = spec.components[name].executor_label
    return json_format.MessageToDict(spec.deployment_spec)["executors"][label]["container"]
