"""The nodes that a pipeline can have, and what one may set for each: limits and retries."""

from typing import Any

import pydantic
from pydantic import Field, NonNegativeInt, PositiveFloat

from pipeline.section import Section

NODE_IDS = (
    "ExampleGen",
    "StatisticsGen",
    "SchemaImporter",
    "SchemaGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "BaseModel",
    "Trainer",
    "Baseline",
    "Evaluator",
    "Quantizer",
    "InfraValidator",
    "Pusher",
)


class NodeSettings(Section):
    """What a node may take. None of it changes what comes out, so a run that hit a limit goes on under another."""

    timeout: PositiveFloat | None = Field(default=None, description="Seconds after which it is stopped.")
    memory: pydantic.ByteSize | None = Field(
        default=None, description="Memory of its processes, such as 8GiB, above which it is stopped."
    )
    retries: NonNegativeInt = Field(default=0, description="Times that it is run again after it failed.")


_fields: dict[str, Any] = {
    name: (NodeSettings, Field(default=NodeSettings(), description=f"Limits and retries of {name}."))
    for name in ("all", *NODE_IDS)
}
_Nodes: Any = pydantic.create_model("Nodes", __base__=Section, **_fields)


class Nodes(_Nodes):
    """Limits and retries by node id; those under `all` hold where a node has none of its own."""

    def of(self, node_id: str) -> NodeSettings:
        """Those of a node: its own, and for the rest those of `all`."""
        common: NodeSettings = getattr(self, "all")  # noqa: B009 - made by create_model
        own: NodeSettings = getattr(self, node_id)
        return common.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
