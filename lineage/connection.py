"""Where the metadata of a root folder is: in a SQLite file there, or in a PostgreSQL that several hosts reach.

The root folder remembers it (ROOT/metadata.json), so that no verb has to be told; a password is never written down.
"""

import os
from pathlib import Path
from typing import Literal

import pydantic
from ml_metadata.proto import metadata_store_pb2 as mlmd
from pydantic import Field

from lineage.outcome import InputError

_FILE = "metadata.json"


class PostgreSQL(pydantic.BaseModel):
    """A database that exists, in a PostgreSQL server."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    host: str = Field(description="Name or address of the server, or the folder of its Unix socket.")
    port: int = Field(default=5432, description="Port of the server.")
    database: str = Field(description="Name of a database that exists; its tables are made.")
    user: str = Field(description="Role to log in as.")
    password_env: str = Field(
        default="SLIPWAY_METADATA_PASSWORD", description="Environment variable that holds the password."
    )
    password_file: str | None = Field(
        default=None, description="File that holds the password, instead of the environment variable."
    )
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="As libpq has it."
    )


class Metadata(pydantic.BaseModel):
    """Where runs are recorded; without anything, in ROOT/metadata.sqlite."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    postgresql: PostgreSQL | None = Field(default=None, description="A PostgreSQL database, for several hosts.")


def database(root: Path) -> Path:
    """The SQLite file of a root folder that has no other store."""
    return root / "metadata.sqlite"


def metadata_of(root: Path) -> Metadata:
    """Where the metadata of a root folder is."""
    path = root / _FILE
    return Metadata.model_validate_json(path.read_bytes()) if path.exists() else Metadata()


def choose(root: Path, metadata: Metadata) -> None:
    """Decides, once, where the metadata of a root folder is; the folder is there.

    Raises:
      InputError: it was decided otherwise before.
    """
    if metadata == metadata_of(root):
        return
    if database(root).exists() or (root / _FILE).exists():
        raise InputError(
            f"The runs under {root} are recorded in {_name(root, metadata_of(root))}, and `metadata` says "
            f"{_name(root, metadata)}. Name another folder with --root, or leave `metadata` as it was."
        )
    new = root / f"{_FILE}.{os.getpid()}"
    new.write_text(metadata.model_dump_json(indent=1), encoding="utf-8")
    new.rename(root / _FILE)


def connection(root: Path) -> mlmd.ConnectionConfig:
    """What ML Metadata, and TFX, connect with; of SQLite, the file is made where it is not there.

    Raises:
      InputError: the password is not where it is to be.
    """
    server = metadata_of(root).postgresql
    if server is None:
        return sqlite(database(root))
    config = mlmd.ConnectionConfig()
    config.postgresql.host = _quoted(server.host)
    config.postgresql.port = str(server.port)
    config.postgresql.dbname = _quoted(server.database)
    config.postgresql.user = _quoted(server.user)
    config.postgresql.password = _quoted(_password(server))
    config.postgresql.skip_db_creation = True
    config.postgresql.ssloption.sslmode = server.sslmode
    return config


def sqlite(path: Path) -> mlmd.ConnectionConfig:
    """Of a SQLite file, which is made where it is not there."""
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


def describe(root: Path) -> str:
    """The store of a root folder, in words."""
    return _name(root, metadata_of(root))


def _name(root: Path, metadata: Metadata) -> str:
    server = metadata.postgresql
    return f"PostgreSQL {server.user}@{server.host}:{server.port}/{server.database}" if server else str(database(root))


def _quoted(value: str) -> str:
    """For libpq's connection string, into which ML Metadata puts values as they are."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'" if escaped != value or not value or " " in value else value


def _password(server: PostgreSQL) -> str:
    if server.password_file is not None:
        try:
            return Path(server.password_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise InputError(f"The password file {server.password_file} cannot be read: {error.strerror}.") from None
    password = os.environ.get(server.password_env)
    if password is None:
        raise InputError(
            f"The password of {server.user} in PostgreSQL is expected in the environment variable "
            f"{server.password_env}, which is not set; or name a file with metadata.postgresql.password_file."
        )
    return password
