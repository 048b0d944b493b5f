"""The store under a root folder opens, or says in a sentence why it cannot."""

import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lineage.outcome import InputError
from lineage.store import claim_run_folder, create_store, database, make_run_folder, open_store, run_folder
from tests.lineage.unprivileged import call


def test_a_folder_where_nothing_ran_is_an_input_error_that_says_what_to_do(root: Path) -> None:
    with pytest.raises(InputError, match=r"Nothing has run under .*output yet.*slipway run"):
        open_store(root)
    assert not root.exists()


def test_a_created_store_opens_again_with_what_it_holds(root: Path) -> None:
    create_store(root)
    create_store(root)
    assert open_store(root).get_contexts() == []


@pytest.mark.parametrize("content", [b"not a database, but long enough to be taken for one" * 20, None])
def test_another_file_is_an_input_error_and_stays_as_it_was(root: Path, content: bytes | None) -> None:
    root.mkdir()
    if content is None:
        with sqlite3.connect(database(root)) as connection:
            connection.execute("CREATE TABLE someone_elses (x)")
        connection.close()
    else:
        database(root).write_bytes(content)
    before = database(root).read_bytes()
    for opener in (open_store, create_store):
        with pytest.raises(InputError, match="not an ML Metadata store"):
            opener(root)
    assert database(root).read_bytes() == before


@pytest.fixture
def public() -> Iterator[Path]:
    """An empty folder that every user may look into; pytest's own are for one user only."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_a_root_that_cannot_be_written_to_is_an_input_error(public: Path) -> None:
    read_only, with_database = public / "read_only", public / "with_database"
    read_only.mkdir()
    create_store(with_database)
    for folder in (public, read_only, with_database):
        folder.chmod(0o555)
    for root in (public / "new", read_only, with_database):
        assert call("create_store", root) == (
            f"The root folder {root} cannot be used: Permission denied. "
            "Name a folder that you may read and write with --root.\n"
        )
    assert f"Permission denied ({with_database}/runs)" in call("make_run_folder", with_database)
    public.chmod(0o755)


def test_a_run_folder_that_is_there_but_cannot_be_written_to_is_an_input_error(public: Path) -> None:
    make_run_folder(public, "r1").chmod(0o555)
    assert f"Permission denied ({public}/runs/r1)" in call("make_run_folder", public)


def test_of_two_runs_that_want_one_id_only_one_gets_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: claim_run_folder(tmp_path, "r1"), range(8)))
    assert sorted(got) == [False] * 7 + [True]
    assert run_folder(tmp_path, "r1").is_dir()
    assert claim_run_folder(tmp_path, "r2")


def test_a_store_can_be_read_where_nothing_can_be_written(public: Path) -> None:
    create_store(public)
    public.chmod(0o555)
    assert call("open_store", public) == ""
    public.chmod(0o755)


def test_a_store_that_may_not_be_read_is_an_input_error(public: Path) -> None:
    create_store(public)
    database(public).chmod(0o000)
    assert f"Permission denied ({database(public)})" in call("open_store", public)


def test_a_root_that_is_a_file_or_cannot_be_a_folder_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file cannot be used: there is a file of that name"):
        create_store(tmp_path / "file")
    with pytest.raises(InputError, match="/proc/x cannot be used: No such file or directory"):
        create_store(Path("/proc/x"))
