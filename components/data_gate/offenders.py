"""Counts the values that lie outside the schema's domains, by a scan of a split's examples, column by column.

TFDV says that there are such values, not always which and how many; this is exact, and run only when there are some.
"""

import collections
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

_NOT_IN_DOMAIN = "ENUM_TYPE_UNEXPECTED_STRING_VALUES"
_ABOVE = frozenset({"INT_TYPE_BIG_INT", "FLOAT_TYPE_BIG_FLOAT"})
_BELOW = frozenset({"INT_TYPE_SMALL_INT", "FLOAT_TYPE_SMALL_FLOAT"})

# Kinds of anomaly that say: some values are outside the domain of their feature.
DOMAIN_KINDS = frozenset({_NOT_IN_DOMAIN}) | _ABOVE | _BELOW

_BATCH_EXAMPLES = 4096

Outside = Callable[[pa.Array], pa.Array]


class Offence(NamedTuple):
    """A column and one of DOMAIN_KINDS: the values that are offenders."""

    column: str
    kind: str


Counts = collections.Counter[str | int | float]


def count_offenders(folder: str, offences: Collection[Offence], schema: schema_pb2.Schema) -> dict[Offence, Counts]:
    """The values outside the domain and how often each occurs.

    Args:
      folder: the examples of a split, gzipped TFRecords of tf.Examples.
      offences: what to count; where the schema has no such domain for the column it is left out of the answer.
      schema: what the values should be.

    Returns:
      For each offence a count by value; strings as text, bytes that are not UTF-8 escaped.
    """
    features = {feature.name: feature for feature in schema.feature}
    tests = {
        offence: test
        for offence in offences
        if offence.column in features and (test := _outside(features[offence.column], offence.kind, schema))
    }
    counts = {offence: Counts() for offence in tests}
    columns = sorted({offence.column for offence in tests})
    for batch in _read(folder, [features[column] for column in columns]):
        for offence, test in tests.items():
            values = batch[offence.column].flatten()
            for found in pc.value_counts(values.filter(test(values))).to_pylist():
                counts[offence][_shown(found["values"])] += found["counts"]
    return counts


def _outside(feature: schema_pb2.Feature, kind: str, schema: schema_pb2.Schema) -> Outside | None:
    domain = feature.WhichOneof("domain_info")
    if kind == _NOT_IN_DOMAIN and domain in ("domain", "string_domain"):
        named = feature.string_domain if domain == "string_domain" else _named_domain(feature.domain, schema)
        known = pa.array([value.encode() for value in named.value], pa.large_binary())
        return lambda values: pc.invert(pc.is_in(values, value_set=known))
    if kind in _ABOVE | _BELOW and domain in ("int_domain", "float_domain"):
        bounds = getattr(feature, domain)
        return lambda values: pc.greater(values, bounds.max) if kind in _ABOVE else pc.less(values, bounds.min)
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
