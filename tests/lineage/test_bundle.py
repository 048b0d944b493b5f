"""A run in a file, and in another root folder: the same nodes, artifacts and contents, under other ids and paths."""

from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore

from lineage.ancestry import ancestry
from lineage.bundle import pack, unpack
from lineage.outcome import InputError
from lineage.runs import Run, find_run
from lineage.store import TEMPLATE, create_store
from tests.lineage.executions import begin
from tests.lineage.three_runs import record


def contents(run: Run) -> list[tuple[str, str, str, str]]:
    return [
        (node.id, node.state, artifact.type, Path(artifact.uri, "data").read_text())
        for node in run.nodes
        for artifact in node.artifacts
    ]


@pytest.fixture
def packed(store: MetadataStore, root: Path, tmp_path: Path) -> Path:
    record(store, root, "r1", epochs=1, served=True)
    (root / "runs" / "r1" / "log.txt").write_text("the log")
    (root / "runs" / "r1" / TEMPLATE).write_text("of this root folder")
    pack(store, root, find_run(store, root, "r1"), tmp_path / "r1.tar")
    return tmp_path / "r1.tar"


def test_a_run_moves_with_all_that_it_has_made(packed: Path, store: MetadataStore, root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    other = create_store(elsewhere)
    record(other, elsewhere, "own", epochs=1)  # whose ids and folders are those that r1 had
    assert unpack(other, elsewhere, packed) == "r1"
    before, after = find_run(store, root, "r1"), find_run(other, elsewhere, "r1")
    assert contents(after) == contents(before)
    assert (after.state, after.started, after.finished) == (before.state, before.started, before.finished)
    assert (after.inputs, after.edges) == (before.inputs, before.edges)
    assert [node.seconds for node in after.nodes] == [node.seconds for node in before.nodes]
    assert [path.name for path in after.folder.iterdir() if path.name != "lock"] == ["log.txt"]
    assert (after.folder / "log.txt").read_text() == "the log"
    assert all(Path(one.uri).is_relative_to(elsewhere) for node in after.nodes for one in node.artifacts)
    [model] = after.artifacts("Model")
    assert [one.type for one in ancestry(other, model.uri).inputs] == ["Examples"]
    assert contents(find_run(other, elsewhere, "own"))[0][3] == "own" * 100
    with pytest.raises(InputError, match="There is a run r1 under"):
        unpack(other, elsewhere, packed)


def test_what_cannot_be_packed_or_unpacked_is_said(
    packed: Path, store: MetadataStore, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="There is a file"):
        pack(store, root, find_run(store, root, "r1"), packed)
    begin(store, root, "r2")
    with pytest.raises(InputError, match="r2 is INTERRUPTED; expected one that has ended"):
        pack(store, root, find_run(store, root, "r2"), tmp_path / "r2.tar")
    (tmp_path / "no.tar").write_text("no archive")
    with pytest.raises(InputError, match="is no run that `slipway export` wrote"):
        unpack(create_store(tmp_path / "new"), tmp_path / "new", tmp_path / "no.tar")
