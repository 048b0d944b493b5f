"""The first task of a run: is the image the one that the pipeline was compiled for, and what are the data now?

Run by Kubeflow as `python -m runners.kubeflow.begin EXECUTOR_INPUT`; what it found it writes where that says.
"""

import datetime
import json
import sys
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.components.example_gen import utils
from tfx.types import standard_component_specs as keys

from components.example_gen.driver import ContentDriver
from lineage.outcome import InputError
from pipeline.config import Config, loads
from pipeline.fingerprint import code_inputs
from runners.kubeflow.told import told

# Properties of ExampleGen that its driver, elsewhere, reads and finds.
DRIVEN = (keys.INPUT_BASE_KEY, keys.INPUT_CONFIG_KEY, keys.RANGE_CONFIG_KEY)
FOUND = (keys.INPUT_CONFIG_KEY, utils.FINGERPRINT_PROPERTY_NAME)
BEGAN = "began"  # when this run has begun, in ISO 8601


def main(executor_input: str) -> None:
    """Writes the output parameters `FOUND` and `BEGAN`.

    Raises:
      InputError: the files in the image are not those that the pipeline was compiled for, or there is no data.
    """
    given = json_format.Parse(executor_input, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True)
    values = {name: value.string_value for name, value in given.inputs.parameter_values.items()}
    config = loads(values["config"], Path(values["folder"]))
    _check_code(config, json.loads(values["code"]))
    found = _find({name: values[name] for name in DRIVEN if name in values})
    said = {name: found[name] for name in FOUND} | {BEGAN: datetime.datetime.now(datetime.UTC).isoformat()}
    for name, text in said.items():
        output = Path(given.outputs.parameters[name].output_file)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")


def _check_code(config: Config, compiled: dict[str, str]) -> None:
    """The cache goes by what was compiled, so other files would be taken for those."""
    differ = [name for name, value in code_inputs(config).items() if value != compiled[name]]
    if differ:
        raise InputError(
            f"The image has another {' and '.join(differ)} in {config.folder} than the pipeline was compiled for. "
            "Build and push the image again, from the files that `slipway compile` has read."
        )


def _find(properties: dict[str, Any]) -> dict[str, Any]:
    driver = ContentDriver(metadata_handle=None)
    try:
        return driver.resolve_exec_properties(properties, pipeline_info=None, component_info=None)
    except (ValueError, OSError) as error:
        raise InputError(f"There is no data in {properties[keys.INPUT_BASE_KEY]}: {error}") from error


if __name__ == "__main__":
    with told():
        main(sys.argv[1])
