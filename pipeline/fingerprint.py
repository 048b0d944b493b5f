"""What a run's result depends on, as one hash: a killed run is continued only where it is the same."""

import hashlib
import importlib.metadata
import json

from components import user_code
from components.example_gen import sources
from components.example_gen.fingerprint import files_fingerprint
from components.schema_importer import curated
from components.trainer import weights_file
from pipeline.checks import data_patterns
from pipeline.config import Config


def run_fingerprint(config: Config) -> str:
    """SHA-256 (hex) of config, user source, schema, contents of the input files and Slipway's version."""
    parts = {
        "config": config.to_yaml(),
        "code": code_fingerprint(config, user_code.PREPROCESSING, *user_code.HOOKS),
        "schema": curated.fingerprint(str(config.resolve(config.schema_file))) if config.schema_file else "",
        "weights": warm_start_fingerprint(config),
        "data": [files_fingerprint(sources.resolve_files(pattern)) for pattern in data_patterns(config)],
        "version": importlib.metadata.version("slipway"),
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def code_fingerprint(config: Config, *functions: str) -> str:
    """SHA-256 (hex) of the source that these functions of the user's file reach."""
    return user_code.fingerprint(str(config.resolve(config.model)), functions)


def warm_start_fingerprint(config: Config) -> str | None:
    """SHA-256 (hex) of the weights at the path that the training begins with, if it begins with one."""
    path = config.trainer.warm_start_path
    return weights_file.fingerprint(str(config.resolve(path))) if path else None
