"""The nodes that a pipeline can have, and what one may set for each: limits, retries, and what it asks of a cluster."""

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
# Never cached: a later push may have replaced what it has served. It finds out, and where none has it pushes nothing.
PUSHER = "Pusher"


class NodeSettings(Section):
    """What a node may take. None of it changes what comes out, so a run that hit a limit goes on under another."""

    timeout: PositiveFloat | None = Field(default=None, description="Seconds after which it is stopped.")
    memory: pydantic.ByteSize | None = Field(
        default=None,
        description="Memory of its processes, such as 8GiB, above which it is stopped; a cluster also sets it aside.",
    )
    retries: NonNegativeInt = Field(default=0, description="Times that it is run again after it failed.")
    pool: str = Field(default="default_pool", description="Pool of Airflow's of which its task takes a slot.")
    cpus: PositiveFloat | None = Field(default=None, description="CPUs on a cluster: set aside, and the most it gets.")
    gpus: NonNegativeInt = Field(default=0, description="GPUs on a cluster.")
    gpu: str = Field(
        default="nvidia.com/gpu",
        description="Kind of its GPUs: a resource of Kubernetes; on Vertex AI one such as NVIDIA_TESLA_T4.",
    )
    node_selector: dict[str, str] = Field(
        default={}, description="Labels that a machine of the cluster has to have to run it."
    )


_fields: dict[str, Any] = {
    name: (NodeSettings, Field(default=NodeSettings(), description=f"Limits, retries and resources of {name}."))
    for name in ("all", *NODE_IDS)
}
_Nodes: Any = pydantic.create_model("Nodes", __base__=Section, **_fields)


class Nodes(_Nodes):
    """Limits, retries and resources by node id; those under `all` hold where a node has none of its own."""

    def of(self, node_id: str) -> NodeSettings:
        """Those of a node: its own, and for the rest those of `all`."""
        common: NodeSettings = getattr(self, "all")  # noqa: B009 - made by create_model
        own: NodeSettings = getattr(self, node_id)
        return common.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
