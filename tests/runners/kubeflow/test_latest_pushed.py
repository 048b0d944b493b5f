"""Claims about the task that stands in for a resolver: the newest pushed model that is not the candidate itself."""

from pathlib import Path

import pytest
from tfx.types.standard_artifacts import Model

from runners.kubeflow.latest_pushed import ABSENT, LatestPushed
from serving.publish import ModelFiles, publish


def push(folder: Path, uri: str, content: str, destination: Path) -> None:
    folder.mkdir()
    (folder / "saved_model.pb").write_text(content)
    publish(files=ModelFiles(folder, f"7 {uri}"), destination=destination, keep=1)


def found(destination: Path, output: Path, candidate: str | None) -> Model:
    model, given = Model(), Model()
    model.uri, given.uri = str(output), candidate or ""
    LatestPushed().Do({"model": [given]} if candidate else {}, {"model": [model]}, {"destination": str(destination)})
    return model


@pytest.mark.parametrize("candidate", [None, "gs://bucket/new"])
def test_the_newest_version_is_copied_before_a_push_can_remove_it(tmp_path: Path, candidate: str | None) -> None:
    push(tmp_path / "1", "gs://bucket/old", "old", tmp_path / "served")
    model = found(tmp_path / "served", tmp_path / "found", candidate)
    push(tmp_path / "2", "gs://bucket/new", "new", tmp_path / "served")
    assert not (tmp_path / "served" / "1").exists()
    assert Path(model.uri, "Format-Serving", "saved_model.pb").read_text() == "old"
    assert not model.has_custom_property(ABSENT)


@pytest.mark.parametrize("pushed", [[], ["gs://bucket/candidate"]])
def test_there_is_none_where_only_the_candidate_was_pushed(tmp_path: Path, pushed: list[str]) -> None:
    for uri in pushed:
        push(tmp_path / "1", uri, "", tmp_path / "served")
    model = found(tmp_path / "served", tmp_path / "found", "gs://bucket/candidate")
    assert model.get_int_custom_property(ABSENT) == 1
