"""The small pipeline, in a folder of its own."""

from pathlib import Path

import pytest

from tests.runners.small import YAML, Small


def project(place: Path) -> Small:
    """Writes what a user would."""
    folder = place / "project"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(YAML)
    (folder / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    (folder / "a.csv").write_text("x,y\n1,2\n")
    return Small(place / "root", folder)


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return project(tmp_path)
