"""Driver of the ExampleGens: TFX's, but the files' contents are in the cache key where TFX has sizes and times."""

from pathlib import Path
from typing import Any

from tfx.components.example_gen import driver, utils
from tfx.dsl.io import fileio
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs as keys
from tfx.utils import proto_utils

from components.example_gen.fingerprint import files_fingerprint


class ContentDriver(driver.FileBasedDriver):
    """Resolves spans as TFX does; `input_fingerprint` is then made of what is in the files.

    TFX's own goes by size and by time of change in whole seconds: a copy or a checkout of the same data would run
    nearly everything again, and an edit of the same size within a second would be missed.
    """

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """TFX's, with another `input_fingerprint`."""
        resolved = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        read = example_gen_pb2.Input()
        proto_utils.json_to_proto(resolved[keys.INPUT_CONFIG_KEY], read)
        resolved[utils.FINGERPRINT_PROPERTY_NAME] = "\n".join(
            _split_fingerprint(split.name, f"{resolved[keys.INPUT_BASE_KEY]}/{split.pattern}") for split in read.splits
        )
        return resolved


def _split_fingerprint(name: str, pattern: str) -> str:
    files = sorted(path for path in fileio.glob(pattern) if Path(path).is_file())
    total = sum(Path(path).stat().st_size for path in files)
    return f"split:{name},num_files:{len(files)},total_bytes:{total},sha256:{files_fingerprint(files)}"
