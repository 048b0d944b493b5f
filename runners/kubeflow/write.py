"""`slipway compile --to kubeflow`: the pipeline as YAML, and the Dockerfile of the image in which its tasks run."""

import importlib.metadata
from pathlib import Path
from string import Template

import yaml
from google.protobuf import json_format

from lineage.outcome import InputError
from pipeline.compile import compile_pipeline
from pipeline.config import Config
from runners.kubeflow.platform import platform_spec
from runners.kubeflow.spec import pipeline_spec
from runners.kubeflow.tasks import tasks

PIPELINE = "kubeflow.yaml"
DOCKERFILE = "Dockerfile"

_DOCKERFILE = Template("""\
# The image of the pipeline $name: Slipway, as its deploy/Dockerfile builds it, and the files beside pipeline.yaml.
#   docker build -t $image -f $dockerfile $project
#   docker push $image
ARG SLIPWAY=slipway:$version
FROM $${SLIPWAY}
COPY . $folder
""")


def write(config: Config, root: Path, folder: Path) -> None:
    """Compiles a config, checked for Kubeflow too, into `folder`, which it makes; what lies there is replaced.

    Raises:
      InputError: the user's file cannot be imported, or the folder cannot be written to.
    """
    found = tasks(compile_pipeline(config, root), config)
    documents = [json_format.MessageToDict(pipeline_spec(found, config)), platform_spec(found, config)]
    text = yaml.safe_dump_all([document for document in documents if document], sort_keys=True, width=120)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PIPELINE).write_text(text, encoding="utf-8")
        (folder / DOCKERFILE).write_text(_dockerfile(config, folder), encoding="utf-8")
    except OSError as error:
        raise InputError(f"The pipeline cannot be written to {folder}: {error.strerror}.") from error


def _dockerfile(config: Config, folder: Path) -> str:
    return _DOCKERFILE.substitute(
        name=config.name,
        image=config.kubeflow.image,
        dockerfile=folder / DOCKERFILE,
        project=config.folder,
        version=importlib.metadata.version("slipway"),
        folder=config.kubeflow.folder,
    )
