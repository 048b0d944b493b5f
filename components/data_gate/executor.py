"""Executor of the DataGate: no anomaly that the config does not allow gets past it."""

import collections
import json
import logging
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as keys

from components.data_gate.allowed import is_allowed
from components.data_gate.anomalies import read_anomalies
from components.data_gate.offenders import DOMAIN_KINDS, Counts, Offence, count_offenders
from components.dataset import read_schema
from lineage.outcome import GateRefused
from lineage.records import Anomaly, DataGateRecord

ALLOW_KEY = "allow"
BLESSING_KEY = "blessing"

_MOST_VALUES = 5


class Executor(base_executor.BaseExecutor):
    """Blesses the data, or refuses with the list of anomalies."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Leaves a DataGateRecord in `blessing`; raises GateRefused where an anomaly is not allowed."""
        self._log_startup(input_dict, output_dict, exec_properties)
        allow = json.loads(exec_properties[ALLOW_KEY])
        found = read_anomalies(artifact_utils.get_single_instance(input_dict[keys.ANOMALIES_KEY]))
        schema = read_schema(artifact_utils.get_single_instance(input_dict[keys.SCHEMA_KEY]))
        anomalies = [
            anomaly.model_copy(update={"allowed": is_allowed(anomaly, allow)})
            for anomaly in _with_values(
                found, artifact_utils.get_single_instance(input_dict[keys.EXAMPLES_KEY]), schema
            )
        ]
        _refuse([anomaly for anomaly in anomalies if not anomaly.allowed])
        for anomaly in anomalies:
            logging.getLogger("slipway").warning("allowed anomaly: %s: %s", anomaly.heading, anomaly.description)
        DataGateRecord(anomalies=anomalies).save(artifact_utils.get_single_uri(output_dict[BLESSING_KEY]))


def _with_values(anomalies: list[Anomaly], examples: types.Artifact, schema: schema_pb2.Schema) -> list[Anomaly]:
    """Adds, to what TFDV says of values outside a domain, the values and their exact number."""
    offences = collections.defaultdict(list)
    for anomaly in anomalies:
        if anomaly.kind in DOMAIN_KINDS:
            offences[anomaly.split].append(Offence(anomaly.column, anomaly.kind))
    counts = {
        split: count_offenders(artifact_utils.get_split_uri([examples], split), some, schema)
        for split, some in offences.items()
    }
    return [
        anomaly.model_copy(update={"description": _values(offenders)})
        if (offenders := counts.get(anomaly.split, {}).get(Offence(anomaly.column, anomaly.kind)))
        else anomaly
        for anomaly in anomalies
    ]


def _values(counts: Counts) -> str:
    total = counts.total()
    shown = ", ".join(f"{value!r} ({count:,})" for value, count in counts.most_common(_MOST_VALUES))
    more = len(counts) - _MOST_VALUES
    rest = f" and {more:,} other value{'s' if more > 1 else ''}" if more > 0 else ""
    return f"{total:,} value{'s are' if total > 1 else ' is'} outside the schema's domain: {shown}{rest}."


def _refuse(anomalies: list[Anomaly]) -> None:
    if not anomalies:
        return
    count = f"{len(anomalies)} anomal{'ies' if len(anomalies) > 1 else 'y'}"
    lines = "\n".join(f"  {anomaly.heading}: {anomaly.description}" for anomaly in anomalies)
    names = sorted({f"{anomaly.column}:{anomaly.kind}".lstrip(":") for anomaly in anomalies})
    them = "them by their names" if len(names) > 1 else "it by its name"
    raise GateRefused(
        f"The data is not what its schema says: {count}.\n{lines}\n"
        f"Correct the data or the schema, or allow {them} in pipeline.yaml: data_gate: {{allow: {json.dumps(names)}}}"
    )
