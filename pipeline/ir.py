"""What a compiled pipeline says, and what a run makes of it: nothing here imports a component, or TensorFlow."""

from typing import Any

from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.orchestration.portable.runtime_parameter_utils import substitute_runtime_parameter
from tfx.proto.orchestration import pipeline_pb2


def for_run(ir: pipeline_pb2.Pipeline, run_id: str) -> pipeline_pb2.Pipeline:
    """A copy of the IR in which the run id is filled in."""
    copy = pipeline_pb2.Pipeline()
    copy.CopyFrom(ir)
    substitute_runtime_parameter(copy, {PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    return copy


def node_ids(ir: pipeline_pb2.Pipeline) -> list[str]:
    """Ids of the nodes, in an order in which they can run."""
    return [node.pipeline_node.node_info.id for node in ir.nodes]


def edges(ir: pipeline_pb2.Pipeline) -> list[tuple[str, str]]:
    """(upstream, downstream) pairs of node ids."""
    nodes = [node.pipeline_node for node in ir.nodes]
    return [(upstream, node.node_info.id) for node in nodes for upstream in node.upstream_nodes]


def node_of(ir: pipeline_pb2.Pipeline, node_id: str) -> Any:
    """The compiled node of that id, a `pipeline_pb2.PipelineNode`, which may be changed in place."""
    return next(node.pipeline_node for node in ir.nodes if node.pipeline_node.node_info.id == node_id)
