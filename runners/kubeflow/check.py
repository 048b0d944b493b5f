"""What a config lacks to run on Kubeflow; nothing is compiled before this has passed."""

import os
from pathlib import Path, PurePosixPath

from lineage.outcome import InputError
from pipeline.config import Config
from pipeline.data import SPAN
from pipeline.nodes import NODE_IDS

_MOUNTED_BY_VERTEX = "/gcs"


def check(config: Config, root: Path) -> None:
    """Image, storage and files are such that a task in a pod finds all it needs, and leaves what lasts.

    Raises:
      InputError: naming the field, and what to set it to.
    """
    if not config.kubeflow.image:
        raise InputError(
            "kubeflow.image is missing: the tasks run in an image with Slipway and the pipeline's files. Set it to the "
            "name and tag under which you push it, such as registry.example.com/digits:1; the Dockerfile that is "
            "written says how to build it."
        )
    if config.data.has_spans:
        raise InputError(
            f"data.path is {config.data.path}: Kubeflow's tasks share no folder in which the spans of a run could be "
            f"put together. Compile for one span: --set data.path=... with its number in the place of {SPAN}."
        )
    if config.kubeflow.dialect == "vertex":
        _check_vertex(config)
    _check_lasting("serving.destination", config.destination(root), config)
    if config.kubeflow.runs:
        _check_lasting("kubeflow.runs", Path(config.kubeflow.runs), config)
    _check_files(config)


def _check_vertex(config: Config) -> None:
    given = config.kubeflow
    if not (given.pipeline_root or "").startswith("gs://"):
        raise InputError(
            f"kubeflow.pipeline_root: got {given.pipeline_root}, expected a folder in Cloud Storage, where Vertex AI "
            "keeps artifacts, such as gs://bucket/digits."
        )
    if given.volumes:
        raise InputError("kubeflow.volumes: Vertex AI has none. Use buckets, which its tasks see below /gcs/.")
    selecting = [node_id for node_id in NODE_IDS if config.nodes.of(node_id).node_selector]
    if selecting:
        raise InputError(
            f"nodes.{selecting[0]}.node_selector: Vertex AI chooses machines itself, by cpus, memory and gpus."
        )


def _check_lasting(key: str, path: Path, config: Config) -> None:
    if not _lasts(path, config):
        raise InputError(f"{key} is {path}, which a pod loses when it ends. Give an absolute path {_where(config)}.")


def _check_files(config: Config) -> None:
    files = {
        "data.path": config.data.path,
        "model": config.model,
        "schema": config.schema_file,
        "trainer.warm_start": config.trainer.warm_start_path,
    }
    for key, file in files.items():
        path = Path(os.path.normpath(config.resolve(file or ".")))
        if not path.is_relative_to(config.folder) and not _lasts(path, config):
            raise InputError(
                f"{key} is {path}, which no task finds: the image has only what is below {config.folder}. Move it "
                f"there, or give an absolute path {_where(config)}."
            )


def _lasts(path: Path, config: Config) -> bool:
    """Whether tasks see the same there as everybody."""
    return any(PurePosixPath(path).is_relative_to(folder) for folder in _mounted(config))


def _mounted(config: Config) -> list[str]:
    return [_MOUNTED_BY_VERTEX] if config.kubeflow.dialect == "vertex" else [*config.kubeflow.volumes]


def _where(config: Config) -> str:
    if config.kubeflow.dialect == "vertex":
        return "below /gcs/, such as /gcs/bucket/folder"
    folders = ", ".join(config.kubeflow.volumes) or "of which there is none yet, such as {/data: my-claim}"
    return f"below one of kubeflow.volumes ({folders})"
