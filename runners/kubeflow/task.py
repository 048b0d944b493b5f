"""What the pods run but the first: TFX's entry point for Kubeflow, given paths where Kubeflow gives addresses.

An artifact's address is one in an object store. Before a task starts, Kubeflow has copied its inputs to folders that
are named after their addresses, and copies its outputs from such folders afterwards (Vertex AI mounts its buckets
there). TFX would open the addresses themselves, which it can for Cloud Storage alone; our components open files.
"""

import argparse
import sys
from pathlib import Path

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor

from runners.kubeflow.latest_pushed import ABSENT
from runners.kubeflow.storage import path_of
from runners.kubeflow.told import told


def main(arguments: argparse.Namespace, beam_args: list[str]) -> None:
    """Runs an executor; what it made is in the file that the executor input names, under the addresses."""
    given = json_format.Parse(arguments.json_serialized_invocation_args, pb.ExecutorInput(), ignore_unknown_fields=True)
    types = pb.ComponentInputsSpec()
    json_format.Parse(arguments.json_serialized_inputs_spec_args, types)
    local = localized(given, types, Path("/"))
    for artifacts in local.outputs.artifacts.values():
        for artifact in artifacts.artifacts:
            Path(artifact.uri).mkdir(parents=True, exist_ok=True)
    Path(local.outputs.output_file).parent.mkdir(parents=True, exist_ok=True)
    arguments.json_serialized_invocation_args = json_format.MessageToJson(local)
    kubeflow_v2_run_executor.main((arguments, beam_args))
    _restore_addresses(given)


def localized(given: pb.ExecutorInput, types: pb.ComponentInputsSpec, mounts: Path) -> pb.ExecutorInput:
    """The executor input with paths for addresses, the types of inputs, and no inputs that stand for none.

    Args:
      given: As Kubeflow gives it: an input's type may be empty, a name too.
      types: What the component says of its inputs.
      mounts: The folder below which object stores are mounted: the root.
    """
    local = pb.ExecutorInput()
    local.CopyFrom(given)
    for key, artifacts in given.inputs.artifacts.items():
        if any(ABSENT in artifact.metadata.fields for artifact in artifacts.artifacts):
            del local.inputs.artifacts[key]
            continue
        for artifact in local.inputs.artifacts[key].artifacts:
            artifact.type.CopyFrom(types.artifacts[key].artifact_type)
    for key, artifacts in given.outputs.artifacts.items():
        if any(artifact.type.schema_title for artifact in artifacts.artifacts):  # Kubeflow's own, its log
            del local.outputs.artifacts[key]
    for side in (local.inputs, local.outputs):
        for artifacts in side.artifacts.values():
            for artifact in artifacts.artifacts:
                artifact.name = artifact.name or artifact.uri
                artifact.uri = path_of(artifact.uri, mounts)
    return local


def _restore_addresses(given: pb.ExecutorInput) -> None:
    file = Path(given.outputs.output_file)
    made = json_format.Parse(file.read_text(encoding="utf-8"), pb.ExecutorOutput())
    for key, artifacts in made.artifacts.items():
        artifacts.artifacts[0].uri = given.outputs.artifacts[key].artifacts[0].uri
    file.write_text(json_format.MessageToJson(made), encoding="utf-8")


def _parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("executor_class_path", "json_serialized_invocation_args", "json_serialized_inputs_spec_args"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_known_args(argv)


def _user_file(arguments: argparse.Namespace) -> str:
    given = json_format.Parse(arguments.json_serialized_invocation_args, pb.ExecutorInput(), ignore_unknown_fields=True)
    return given.inputs.parameter_values["module_file"].string_value


if __name__ == "__main__":
    parsed, rest = _parse(sys.argv[1:])
    with told(_user_file(parsed)):
        main(parsed, rest)
