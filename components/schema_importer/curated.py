"""Reads a curated TFMD schema from its .pbtxt: parsed or refused with the line, and the column types that it fixes.

Needs neither TFX nor TensorFlow, so that a config is checked at once.
"""

import hashlib
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from lineage.outcome import InputError

_COLUMN_TYPES = {schema_pb2.INT: "int64", schema_pb2.FLOAT: "float32", schema_pb2.BYTES: "string"}


def read_schema(path: str) -> schema_pb2.Schema:
    """The schema in the file; raises InputError, with the line, where it is not one."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"schema: there is no file {path}. Without `schema` it is inferred from the data and written for review."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the schema {path}: {error}.") from error
    try:
        schema = text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise InputError(
            f"{path}, line {error.GetLine()}: {_without_position(error)} Expected a TFMD schema in text format."
        ) from error
    if not schema.feature:
        raise InputError(f"The schema {path} has no feature; expected a `feature {{ ... }}` for each column.")
    return schema


def fingerprint(path: str) -> str:
    """SHA-256 of the file, in hex: the `fingerprint` of the SchemaImporter."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def column_types(schema: schema_pb2.Schema) -> dict[str, str]:
    """The type of each column that the schema types: the `column_types` of the ColumnarExampleGen."""
    return {feature.name: _COLUMN_TYPES[feature.type] for feature in schema.feature if feature.type in _COLUMN_TYPES}


def _without_position(error: text_format.ParseError) -> str:
    """What protobuf says, without its own `line:column : ` before it."""
    return str(error).split(" : ", 1)[-1].rstrip(".") + "."
