"""TFX component DataGate: stops the pipeline between the ExampleValidator and what would learn from the data."""

import json
from collections.abc import Collection

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts
from tfx.types import standard_component_specs as keys

from components.artifacts import DataBlessing
from components.data_gate.allowed import check_allowed
from components.data_gate.executor import ALLOW_KEY, BLESSING_KEY, Executor


class DataGateSpec(component_spec.ComponentSpec):
    """Interface of the DataGate."""

    PARAMETERS = {ALLOW_KEY: component_spec.ExecutionParameter(type=str)}
    INPUTS = {
        keys.ANOMALIES_KEY: component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        keys.SCHEMA_KEY: component_spec.ChannelParameter(type=standard_artifacts.Schema),
        keys.EXAMPLES_KEY: component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {BLESSING_KEY: component_spec.ChannelParameter(type=DataBlessing)}


class DataGate(base_component.BaseComponent):
    """Refuses data with an anomaly that is not allowed; everything that should wait for it takes its `blessing`.

    For values outside the schema's domain the refusal has the values and their exact number.

    Example:
      DataGate(
          anomalies=validator.outputs["anomalies"],
          schema=schema.outputs["schema"],
          examples=example_gen.outputs["examples"],
          allow=["payment_type:ENUM_TYPE_UNEXPECTED_STRING_VALUES"],
      )

    Outputs:
      blessing: DataBlessing, with a DataGateRecord in it.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        anomalies: types.BaseChannel,
        schema: types.BaseChannel,
        examples: types.BaseChannel,
        allow: Collection[str] = (),
    ) -> None:
        """Checks `allow`.

        Args:
          anomalies: ExampleAnomalies of the ExampleValidator.
          schema: the Schema that it validated against.
          examples: the Examples whose statistics it validated.
          allow: anomalies that pass with a warning, by `KIND` or `column:KIND`.

        Raises:
          InputError: an entry of `allow` names no kind of anomaly.
        """
        check_allowed(allow)
        spec = DataGateSpec(
            anomalies=anomalies,
            schema=schema,
            examples=examples,
            allow=json.dumps(sorted(allow)),
            blessing=types.Channel(type=DataBlessing),
        )
        super().__init__(spec=spec)
