"""What stands in for a resolver of the latest blessed model: the newest one that was pushed, which was blessed."""

import logging
import shutil
from pathlib import Path
from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import path_utils

from serving.publish import PUSH_RECORD, TFLITE_NAME, made_of
from serving.versions import find_versions

ABSENT = "absent"  # custom property of an artifact that stands for none: Kubeflow knows no optional output

_log = logging.getLogger("slipway")


class LatestPushed(BaseExecutor):
    """Copies the newest version of `destination`, of those that were not made of the input `model` if there is one."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the output `model`; a copy, since the Pusher removes old versions."""
        output = get_single_instance(output_dict["model"])
        candidates = {candidate.uri for candidate in input_dict.get("model", [])}
        versions = find_versions(Path(exec_properties["destination"])).values()
        others = [version for version in versions if not _made_of(version, candidates)]
        if not others:
            _log.info("No other model has been pushed to %s.", exec_properties["destination"])
            output.set_int_custom_property(ABSENT, 1)
            return
        _log.info("The latest model is %s.", others[-1])
        kept_out = shutil.ignore_patterns(TFLITE_NAME, PUSH_RECORD.name)
        shutil.copytree(others[-1], path_utils.serving_model_dir(output.uri), ignore=kept_out)


def _made_of(version: Path, candidates: set[str]) -> bool:
    source = made_of(version)
    return source is not None and any(source.model.endswith(f" {uri}") for uri in candidates)
