"""The curated schema: refused with its line where it is none, and never met by a stale cache once edited."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.schema_importer import curated
from components.schema_importer.component import SchemaImporter
from lineage.outcome import InputError
from tests.tfx_harness import Ran, run_component

SCHEMA = """# reviewed
feature { name: "fare" type: FLOAT }
feature { name: "trips" type: INT }
feature { name: "company" type: BYTES }
feature { name: "anything" }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "curated.pbtxt"
    path.write_text(SCHEMA)
    return path


def import_schema(root: Path, path: Path) -> Ran:
    return run_component(
        root,
        lambda: SchemaImporter(schema_file=str(path), fingerprint=curated.fingerprint(str(path))),
        {},
        cache=True,
    )


def test_the_artifact_holds_the_schema_of_the_file(path: Path, tmp_path: Path) -> None:
    folder = Path(import_schema(tmp_path, path).uri("schema"))
    assert [file.name for file in folder.iterdir()] == ["schema.pbtxt"]
    written = text_format.Parse((folder / "schema.pbtxt").read_text(), schema_pb2.Schema())
    assert written == text_format.Parse(SCHEMA, schema_pb2.Schema())


def test_an_unchanged_schema_is_cached_and_an_edited_one_is_not(path: Path, tmp_path: Path) -> None:
    first, second = (import_schema(tmp_path, path).uri("schema") for _ in range(2))
    path.write_text(SCHEMA.replace("FLOAT", "INT"))
    third = import_schema(tmp_path, path).uri("schema")
    assert first == second != third


def test_what_is_not_a_schema_is_refused_with_file_and_line(path: Path, tmp_path: Path) -> None:
    path.write_text(SCHEMA + 'feature { nam: "x" }\n')
    with pytest.raises(InputError, match=r"curated\.pbtxt, line 6: .*no field named \"nam\"\."):
        import_schema(tmp_path, path)


def test_a_schema_that_is_absent_or_empty_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*none\.pbtxt\. Without"):
        curated.read_schema(str(path.with_name("none.pbtxt")))
    path.write_text("# nothing yet\n")
    with pytest.raises(InputError, match="has no feature"):
        curated.read_schema(str(path))


def test_column_types_are_those_that_the_schema_gives(path: Path) -> None:
    schema = curated.read_schema(str(path))
    assert curated.column_types(schema) == {"fare": "float32", "trips": "int64", "company": "string"}
