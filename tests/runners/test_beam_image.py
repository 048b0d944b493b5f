"""Claims about the image of Beam's workers: it is of the Beam, and of the Python, that jobs are made by."""

import re
import sys
from pathlib import Path

import apache_beam
import pytest

from lineage.outcome import InputError
from runners import beam_image

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_image_has_the_versions_of_this_environment(tmp_path: Path) -> None:
    text = beam_image.write(tmp_path / "compiled").read_text()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"FROM apache/beam_python{python}_sdk:{apache_beam.__version__} AS beam" in text
    [tag] = re.findall("ARG SLIPWAY=(.*)", text)
    assert f"docker build -t {tag} -f deploy/Dockerfile ." in (DEPLOY / "Dockerfile").read_text()


def test_a_folder_that_cannot_be_written_to_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"The Dockerfile cannot be written to .*file: "):
        beam_image.write(tmp_path / "file")
