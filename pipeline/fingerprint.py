"""What a run's result depends on: only where it is the same is a killed run continued, or a finished one up to date."""

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from typing import Any

from components import user_code
from components.example_gen import sources
from components.example_gen.fingerprint import files_fingerprint
from components.schema_importer import curated
from components.trainer import weights_file
from pipeline.checks import data_patterns
from pipeline.config import Config

_ELSEWHERE = {"runner", "nodes", "airflow", "metadata", "kubeflow"}  # where a run runs and is recorded, and its limits
_PACKAGES = ("slipway", "tensorflow", "keras", "tfx", "tensorflow-transform", "tensorflow-model-analysis")


def run_inputs(config: Config) -> dict[str, Any]:
    """All that the result of a run depends on: the config, and as SHA-256 (hex) user source, schema and input files.

    Not the limits of nodes, for a run that hit one is continued under another, nor where it runs and is recorded.
    """
    return {
        "config": config.model_dump(mode="json", by_alias=True, exclude=_ELSEWHERE),
        **code_inputs(config),
        "data": [files_fingerprint(sources.resolve_files(pattern)) for pattern in data_patterns(config)],
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def code_inputs(config: Config) -> dict[str, str]:
    """SHA-256 (hex) of what goes with the code: user source, schema and first weights; empty where there is none."""
    return {
        "code": source_fingerprint(config),
        "schema": curated.fingerprint(str(config.resolve(config.schema_file))) if config.schema_file else "",
        "weights": warm_start_fingerprint(config) or "",
    }


def run_fingerprint(inputs: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of what `run_inputs` gave."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def source_fingerprint(config: Config) -> str:
    """SHA-256 (hex) of all of the user's source that some node reaches."""
    return code_fingerprint(config, user_code.PREPROCESSING, *user_code.HOOKS)


def code_fingerprint(config: Config, *functions: str) -> str:
    """SHA-256 (hex) of the source that these functions of the user's file reach."""
    return user_code.fingerprint(str(config.resolve(config.model)), functions)


def warm_start_fingerprint(config: Config) -> str | None:
    """SHA-256 (hex) of the weights at the path that the training begins with, if it begins with one."""
    path = config.trainer.warm_start_path
    return weights_file.fingerprint(str(config.resolve(path))) if path else None
