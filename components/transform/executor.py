"""The Transform's work: TFX's own, in a job that carries the user's source."""

from typing import Any

import tfx.components.transform.executor as tfx_transform
from tfx.types import standard_component_specs
from tfx.types.artifact import Artifact
from tfx.utils import json_utils

from components.transform import source

_CONFIG = standard_component_specs.CUSTOM_CONFIG_KEY


class Executor(tfx_transform.Executor):
    """Adds the source to `custom_config` when it runs, and so not to the cache key, which goes by what is reached."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes TFX's outputs."""
        config = json_utils.loads(exec_properties[_CONFIG])
        config["source"] = source.read(config["module_file"])
        super().Do(input_dict, output_dict, {**exec_properties, _CONFIG: json_utils.dumps(config)})
