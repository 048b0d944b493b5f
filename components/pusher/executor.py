"""The Pusher's work in TFX's terms: from input artifacts to a version and the artifact that names it."""

import logging
from pathlib import Path
from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import path_utils

from components.pusher.gate import check_blessings
from serving.publish import TFLITE_NAME, ModelFiles, Version, publish

_log = logging.getLogger("slipway")


class Executor(BaseExecutor):
    """Pushes what is blessed; see `Pusher`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the next version and the output `pushed_model`."""
        check_blessings(input_dict)
        version = publish(
            files=_files(input_dict),
            destination=Path(exec_properties["destination"]).absolute(),
            keep=exec_properties["keep"],
        )
        _record(get_single_instance(output_dict["pushed_model"]), version)
        if version.is_new:
            _log.info("Pushed version %d to %s.", version.number, version.folder)
        else:
            _log.info("Version %d, %s, is this model already; nothing was pushed.", version.number, version.folder)


def _files(inputs: dict[str, list[Artifact]]) -> ModelFiles:
    model = get_single_instance(inputs["model"])
    saved_model = Path(path_utils.serving_model_path(model.uri))
    if not inputs.get("tflite_model"):
        return ModelFiles(saved_model, _name(model))
    tflite = get_single_instance(inputs["tflite_model"])
    return ModelFiles(saved_model, _name(model), Path(tflite.uri, TFLITE_NAME), _name(tflite))


def _name(artifact: Artifact) -> str:
    """Which artifact it is: a retried execution gets the same id and folder, another training does not."""
    return f"{artifact.id} {artifact.uri}"


def _record(pushed_model: Artifact, version: Version) -> None:
    pushed_model.set_int_custom_property("pushed", 1)
    pushed_model.set_string_custom_property("pushed_destination", str(version.folder))
    pushed_model.set_string_custom_property("pushed_version", str(version.number))
