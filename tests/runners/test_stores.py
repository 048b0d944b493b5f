"""Claims about stores: a server's password is nowhere in a file, many runs at once do not mix, none is lost."""

import os
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from lineage.outcome import InputError
from lineage.runs import list_runs
from lineage.store import create_store, open_store
from pipeline.config import loads
from tests.postgresql import PASSWORD, server
from tests.runners.small import NODES, YAML, Small

VARIABLE = "SLIPWAY_METADATA_PASSWORD"


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory):
    with server(tmp_path_factory.mktemp("postgresql")) as settings:
        yield settings


@pytest.fixture
def settings(request: pytest.FixtureRequest, postgresql: tuple[str, ...]) -> tuple[str, ...]:
    return postgresql if request.param == "postgresql" else ()


def all_at_once(small: Small, settings: tuple[str, ...], runs: int) -> None:
    started = [small.start(*settings, force=True) for _ in range(runs)]
    for process in started:
        process.join(300)
    assert [process.exitcode for process in started] == [0] * runs
    store = open_store(small.root)
    found = [run for run in list_runs(store, small.root) if run.folder.exists()]
    assert len(found) == runs
    assert {run.state for run in found} == {"COMPLETE"}
    uris = [artifact.uri for run in found for node in run.nodes for artifact in node.artifacts]
    assert len(uris) == len(set(uris)) == runs * len(NODES)
    assert all(Path(uri, "data").exists() for uri in uris)
    for run in found:
        context = store.get_context_by_type_and_name("pipeline_run", run.id)
        executions = store.get_executions_by_context(context.id)
        assert len(executions) == len(NODES)
        inputs = [
            e for e in store.get_events_by_execution_ids([x.id for x in executions]) if e.type == mlmd.Event.INPUT
        ]
        own = {a.id for a in store.get_artifacts_by_context(context.id)}
        assert {event.artifact_id for event in inputs} <= own, "a node took what another run has made"


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
def test_runs_at_once_on_one_store_do_not_mix(
    small: Small, settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    all_at_once(small, settings, runs=4)


@pytest.mark.full
@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
def test_twenty_runs_at_once_on_one_store(
    small: Small, settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    all_at_once(small, settings, runs=20)


def test_the_password_of_a_server_is_in_no_file(
    small: Small, postgresql: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    assert small.run(*postgresql) == 0
    files = [path for path in small.root.rglob("*") if path.is_file()]
    assert any(path.name == "pipeline.pb" for path in files)
    for secret in (PASSWORD, PASSWORD.encode("unicode_escape").decode()):
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
    assert not (small.root / "metadata.sqlite").exists()


def test_a_server_that_cannot_be_used_is_a_sentence(
    tmp_path: Path, postgresql: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = loads(YAML, tmp_path, postgresql).metadata
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InputError, match=f"environment variable {VARIABLE}, which is not set"):
        create_store(tmp_path / "one", metadata)
    monkeypatch.setenv(VARIABLE, "wrong")
    with pytest.raises(InputError, match=r"PostgreSQL slipway@.*/runs cannot be opened\. See that the server runs"):
        create_store(tmp_path / "one", metadata)
    nobody = loads(YAML, tmp_path, (*postgresql, "metadata.postgresql.port=1")).metadata
    with pytest.raises(InputError, match="cannot be opened"):
        create_store(tmp_path / "other", nobody)


def test_a_root_stays_with_its_store(
    tmp_path: Path, postgresql: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD)
    metadata = loads(YAML, tmp_path, postgresql).metadata
    create_store(tmp_path / "sqlite")
    with pytest.raises(InputError, match=r"recorded in .*metadata\.sqlite, and `metadata` says PostgreSQL"):
        create_store(tmp_path / "sqlite", metadata)
    create_store(tmp_path / "server", metadata)
    assert open_store(tmp_path / "server") is not None
    with pytest.raises(InputError, match="recorded in PostgreSQL"):
        create_store(tmp_path / "server", loads(YAML, tmp_path).metadata)
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    monkeypatch.delenv(VARIABLE)
    from_file = (*postgresql, f"metadata.postgresql.password_file={tmp_path / 'secret'}")
    create_store(tmp_path / "third", loads(YAML, tmp_path, from_file).metadata)
    assert VARIABLE not in os.environ
