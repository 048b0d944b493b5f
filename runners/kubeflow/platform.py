"""What Kubernetes alone has words for: volumes, node selectors, deadlines; the YAML's second document."""

from collections.abc import Sequence
from typing import Any

from pipeline.config import Config
from runners.kubeflow.spec import executor_label, settings_of
from runners.kubeflow.tasks import Task


def platform_spec(tasks: Sequence[Task], config: Config) -> dict[str, Any]:
    """By task; empty where there is nothing to say, and for Vertex AI, which reads none of it."""
    if config.kubeflow.dialect == "vertex":
        return {}
    executors = {executor_label(task): said for task in tasks if (said := _executor(task, config))}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else {}


def _executor(task: Task, config: Config) -> dict[str, Any]:
    settings = settings_of(task, config)
    said: dict[str, Any] = {}
    if config.kubeflow.volumes:
        said["pvcMount"] = [_mount(folder, claim) for folder, claim in config.kubeflow.volumes.items()]
    if settings.node_selector:
        said["nodeSelector"] = {"labels": settings.node_selector}
    if settings.timeout:
        said["activeDeadlineSeconds"] = str(max(1, round(settings.timeout)))
    return said


def _mount(folder: str, claim: str) -> dict[str, Any]:
    """The claim twice: Kubeflow before 2.4 reads the first, later ones the second."""
    return {"mountPath": folder, "constant": claim, "pvcNameParameter": {"runtimeValue": {"constant": claim}}}
