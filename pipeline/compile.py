"""The compiled pipeline: TFX's intermediate representation (IR), which every runner executes."""

from pathlib import Path

from tfx.dsl.compiler.compiler import Compiler
from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable.runtime_parameter_utils import substitute_runtime_parameter
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_component_specs as keys
from tfx.utils.proto_utils import proto_to_json

from components import user_code
from pipeline.build import build
from pipeline.config import Config
from pipeline.ingest import input_of


def compile_pipeline(config: Config, root: Path) -> pipeline_pb2.Pipeline:
    """Builds and compiles; the run id is still a parameter.

    Raises:
      InputError: the user's file cannot be imported, or the head of the data is wrong; nothing has run by then.
    """
    user_code.load(str(config.resolve(config.model)))
    pipeline: Pipeline = build(config, root)
    return Compiler().compile(pipeline)


def for_run(ir: pipeline_pb2.Pipeline, run_id: str) -> pipeline_pb2.Pipeline:
    """A copy of the IR in which the run id is filled in."""
    copy = pipeline_pb2.Pipeline()
    copy.CopyFrom(ir)
    substitute_runtime_parameter(copy, {PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    return copy


def reading(ir: pipeline_pb2.Pipeline, config: Config) -> pipeline_pb2.Pipeline:
    """A copy of the IR whose ExampleGen reads the data of that config: of other spans than it was compiled with."""
    copy = pipeline_pb2.Pipeline()
    copy.CopyFrom(ir)
    base, inputs = input_of(config)
    [ingest] = [node.pipeline_node for node in copy.nodes if node.pipeline_node.node_info.id == "ExampleGen"]
    for name, value in ((keys.INPUT_BASE_KEY, str(base)), (keys.INPUT_CONFIG_KEY, proto_to_json(inputs))):
        ingest.parameters.parameters[name].field_value.string_value = value
    return copy


def node_ids(ir: pipeline_pb2.Pipeline) -> list[str]:
    """Ids of the nodes, in an order in which they can run."""
    return [node.pipeline_node.node_info.id for node in ir.nodes]


def edges(ir: pipeline_pb2.Pipeline) -> list[tuple[str, str]]:
    """(upstream, downstream) pairs of node ids."""
    nodes = [node.pipeline_node for node in ir.nodes]
    return [(upstream, node.node_info.id) for node in nodes for upstream in node.upstream_nodes]
