"""Counts the values that lie outside the schema's domains, by a scan of a split's examples, column by column.

TFDV says that there are such values, not always which and how many; this is exact, and run only when there are some.
"""

import collections
from collections.abc import Callable, Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

# Kinds of anomaly that say: some values are outside the domain of their feature.
DOMAIN_KINDS = frozenset(
    {
        "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
        "INT_TYPE_BIG_INT",
        "INT_TYPE_SMALL_INT",
        "FLOAT_TYPE_BIG_FLOAT",
        "FLOAT_TYPE_SMALL_FLOAT",
    }
)

_BATCH_EXAMPLES = 4096

Outside = Callable[[pa.Array], pa.Array]


def count_offenders(
    folder: str, columns: Collection[str], schema: schema_pb2.Schema
) -> dict[str, collections.Counter[str | int | float]]:
    """The values outside the domain and how often each occurs.

    Args:
      folder: the examples of a split, gzipped TFRecords of tf.Examples.
      columns: features of the schema; those without a string domain or a range are left out of the answer.
      schema: what the values should be.

    Returns:
      For each column a count by value; strings as text, bytes that are not UTF-8 escaped.
    """
    outside = {
        feature.name: test
        for feature in schema.feature
        if feature.name in columns and (test := _outside(feature, schema)) is not None
    }
    counts = {name: collections.Counter[str | int | float]() for name in outside}
    for batch in _read(folder, [feature for feature in schema.feature if feature.name in outside]):
        for name, test in outside.items():
            values = batch[name].flatten()
            for found in pc.value_counts(values.filter(test(values))).to_pylist():
                counts[name][_shown(found["values"])] += found["counts"]
    return counts


def _outside(feature: schema_pb2.Feature, schema: schema_pb2.Schema) -> Outside | None:
    kind = feature.WhichOneof("domain_info")
    if kind in ("domain", "string_domain"):
        domain = feature.string_domain if kind == "string_domain" else _named_domain(feature.domain, schema)
        known = pa.array([value.encode() for value in domain.value], pa.large_binary())
        return lambda values: pc.invert(pc.is_in(values, value_set=known))
    if kind in ("int_domain", "float_domain"):
        domain = getattr(feature, kind)
        least = domain.min if domain.HasField("min") else float("-inf")
        most = domain.max if domain.HasField("max") else float("inf")
        return lambda values: pc.or_(pc.less(values, least), pc.greater(values, most))
    return None


def _named_domain(name: str, schema: schema_pb2.Schema) -> schema_pb2.StringDomain:
    return next(domain for domain in schema.string_domain if domain.name == name)


def _read(folder: str, features: list[schema_pb2.Feature]) -> Iterator[pa.RecordBatch]:
    wanted = schema_pb2.Schema(feature=[schema_pb2.Feature(name=each.name, type=each.type) for each in features])
    decoder = ExamplesToRecordBatchDecoder(wanted.SerializeToString())
    files = tf.io.gfile.glob(f"{folder}/*")
    for examples in tf.data.TFRecordDataset(sorted(files), "GZIP").batch(_BATCH_EXAMPLES).as_numpy_iterator():
        yield decoder.DecodeBatch(examples.tolist())


def _shown(value: bytes | int | float) -> str | int | float:
    return value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else value
