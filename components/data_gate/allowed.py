"""Which anomalies the config allows, by name: `KIND`, or `column:KIND` for one column only.

Needs neither TFX nor TensorFlow, so that a config is checked at once.
"""

import difflib
from collections.abc import Collection

from tensorflow_metadata.proto.v0 import anomalies_pb2

from lineage.outcome import InputError
from lineage.records import Anomaly

KINDS = tuple(value.name for value in anomalies_pb2.AnomalyInfo.Type.DESCRIPTOR.values if value.number)


def check_allowed(entries: Collection[str]) -> None:
    """Raises InputError where an entry names no kind of anomaly that TFDV has; the message has the nearest.

    Example:
      check_allowed(["SCHEMA_NEW_COLUMN", "payment_type:ENUM_TYPE_UNEXPECTED_STRING_VALUES"])
    """
    for entry in entries:
        kind = entry.rpartition(":")[2]
        if kind not in KINDS:
            [nearest] = difflib.get_close_matches(kind.upper(), KINDS, n=1, cutoff=0)
            raise InputError(
                f"{entry!r} allows the anomaly {kind!r}, which does not exist; expected KIND or column:KIND. "
                f"Did you mean {nearest}?"
            )


def is_allowed(anomaly: Anomaly, entries: Collection[str]) -> bool:
    """Whether an entry names the anomaly."""
    return anomaly.kind in entries or f"{anomaly.column}:{anomaly.kind}" in entries
