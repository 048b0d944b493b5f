"""The small pipeline, in a folder of its own."""

from pathlib import Path

import pytest

from tests.runners.small import YAML, Small


@pytest.fixture
def small(tmp_path: Path) -> Small:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(YAML)
    (folder / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    (folder / "a.csv").write_text("x,y\n1,2\n")
    return Small(tmp_path / "root", folder)
