"""The InfraValidator's work in TFX's terms: from input artifacts to the blessing."""

import logging
import tempfile
from pathlib import Path
from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance
from tfx.utils import path_utils

from components.infra_validator.check import check_serving
from components.infra_validator.requests import read_examples
from lineage.records import InfraRecord

_log = logging.getLogger("slipway")


class Executor(BaseExecutor):
    """Checks the model on a real server; see `InfraValidator`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the output `blessing`."""
        blessing = get_single_instance(output_dict["blessing"])
        # A folder of its own: after a kill TFX gives the execution the same temporary folder again, as it was left.
        with tempfile.TemporaryDirectory(dir=self._get_tmp_dir()) as work:
            record = check_serving(
                saved_model=Path(path_utils.serving_model_path(get_single_instance(input_dict["model"]).uri)),
                examples=read_examples(input_dict["examples"], exec_properties["split"]),
                requests=exec_properties["requests"],
                work=Path(work),
                log_file=Path(blessing.uri, "server.log"),
            )
        record.save(blessing.uri)
        _mark(blessing, record)


def _mark(blessing: Artifact, record: InfraRecord) -> None:
    blessing.set_int_custom_property("blessed", int(record.blessed))
    Path(blessing.uri, "INFRA_BLESSED" if record.blessed else "INFRA_NOT_BLESSED").touch()
    if record.blessed:
        _log.info("The server answered %d requests as the model does (%.1e).", record.requests, record.max_difference)
    else:
        _log.warning("The model cannot be served: %s", " ".join(record.reasons))
