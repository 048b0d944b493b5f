"""What is removed, and what never is: what a kept run has, what is pushed or blessed, what somebody uses."""

from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.garbage import garbage, remove
from lineage.lock import RunLock, node_locks
from lineage.outcome import InputError
from tests.lineage.executions import begin, execute
from tests.lineage.three_runs import record


def uris(store: MetadataStore, ids: list[int]) -> set[str]:
    return {artifact.uri for artifact in store.get_artifacts_by_id(ids)}


def test_what_no_kept_run_has_goes_but_no_pushed_or_blessed_model(store: MetadataStore, root: Path) -> None:
    first = record(store, root, "r1", epochs=1, served=True)
    second = record(store, root, "r2", epochs=2)
    third = record(store, root, "r3", epochs=3)
    with garbage(store, root, keep=1) as found:
        assert [run.id for run in found.runs] == ["r2", "r1"]
        expected = uris(store, [first["Examples"], *second.values()])
        assert {artifact.uri for artifact in found.artifacts} == expected
        assert found.bytes == 4 * 200
        assert all(Path(uri).exists() for uri in expected), "to find is not to remove"
        remove(store, found)
    assert not any(Path(uri).exists() for uri in expected)
    assert all(artifact.state == mlmd.Artifact.DELETED for artifact in store.get_artifacts_by_id([*second.values()]))
    kept = [first[kind] for kind in ("Model", "ModelBlessing", "PushedModel")] + [*third.values()]
    assert all(Path(uri).exists() for uri in uris(store, kept))
    with garbage(store, root, keep=1) as found:
        assert found.artifacts == []


def test_what_a_kept_run_has_taken_from_the_cache_stays(store: MetadataStore, root: Path) -> None:
    first = record(store, root, "r1", epochs=1)
    begin(store, root, "r2")
    execute(store, "r2", "Make", mlmd.Execution.CACHED, reuse=[first["Examples"]])
    with garbage(store, root, keep=1) as found:
        assert {artifact.id for artifact in found.artifacts} == {first["Model"], first["ModelBlessing"]}


def test_an_interrupted_run_keeps_all_it_has(store: MetadataStore, root: Path) -> None:
    begin(store, root, "r1")
    record(store, root, "r2", epochs=1)
    with garbage(store, root, keep=1) as found:
        assert found.runs == []


def test_while_something_runs_nothing_is_removed_and_the_other_way_round(store: MetadataStore, root: Path) -> None:
    with RunLock(root, "r1"), pytest.raises(InputError, match="is going on"), garbage(store, root, keep=1):
        pass
    with node_locks(root, "r1", ["Make"], 1), pytest.raises(InputError, match="is going on"), garbage(store, root, 1):
        pass
    with garbage(store, root, keep=1), pytest.raises(InputError, match="being removed"), RunLock(root, "r1"):
        pass
