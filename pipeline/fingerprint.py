"""What a run's result depends on, as one hash: a killed run is continued only where it is the same."""

import hashlib
import importlib.metadata
import json
from pathlib import Path

from components import user_code
from components.example_gen import sources
from components.schema_importer import curated
from pipeline.checks import data_patterns
from pipeline.config import Config


def run_fingerprint(config: Config) -> str:
    """SHA-256 (hex) of config, user source, schema, input files (name, size, time) and Slipway's version."""
    parts = {
        "config": config.to_yaml(),
        "code": code_fingerprint(config, user_code.PREPROCESSING, *user_code.HOOKS),
        "schema": curated.fingerprint(str(config.resolve(config.schema_file))) if config.schema_file else "",
        "data": [_stat(Path(file)) for pattern in data_patterns(config) for file in sources.resolve_files(pattern)],
        "version": importlib.metadata.version("slipway"),
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def code_fingerprint(config: Config, *functions: str) -> str:
    """SHA-256 (hex) of the source that these functions of the user's file reach."""
    return user_code.fingerprint(str(config.resolve(config.model)), functions)


def _stat(file: Path) -> tuple[str, int, int]:
    found = file.stat()
    return str(file), found.st_size, found.st_mtime_ns
