"""The store under a root folder opens, or says in a sentence why it cannot."""

import sqlite3
from pathlib import Path

import pytest

from lineage.outcome import InputError
from lineage.store import create_store, database, open_store


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
