"""TFX component SchemaImporter: brings the curated schema into the pipeline, where it has been edited or not."""

from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Schema
from tfx.utils import io_utils

from components.schema_importer.curated import read_schema


@component
def SchemaImporter(  # noqa: N802 - used as the class it becomes
    schema_file: Parameter[str], fingerprint: Parameter[str], schema: OutputArtifact[Schema]
) -> None:
    """Writes the schema of `schema_file` as the artifact's schema.pbtxt, comments left out.

    Unlike TFX's ImportSchemaGen, whose only property is the path, an edited schema is not met by a cached execution:
    `fingerprint` (see `curated.fingerprint`) is in the cache key and does nothing else.

    Raises:
      InputError: the file is not a schema; the message has the line.
    """
    del fingerprint
    io_utils.write_pbtxt_file(f"{schema.uri}/schema.pbtxt", read_schema(schema_file))
