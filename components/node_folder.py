"""Where a node keeps what outlives an execution of it: beside its outputs."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx.types.artifact import Artifact


def node_folder(output: str) -> Path:
    """The folder of all outputs of a node, of which `output` is the URI of one."""
    return Path(output).parents[1]


def checkpoint_folder(output: str, inputs: Mapping[str, list[Artifact]], properties: Mapping[str, Any]) -> Path:
    """Named by inputs and properties, the fingerprint of the source among them.

    TFX removes the outputs of an execution that fails and gives a retry another working folder; here a retry, and a
    run that is continued, find what they are and nothing else.
    """
    uris = {key: [artifact.uri for artifact in artifacts] for key, artifacts in inputs.items()}
    identity = hashlib.sha256(json.dumps([uris, properties], sort_keys=True).encode()).hexdigest()
    return node_folder(output) / ".checkpoints" / identity[:32]
