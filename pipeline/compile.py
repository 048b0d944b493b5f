"""The compiled pipeline: TFX's intermediate representation (IR), which every runner executes."""

from pathlib import Path

from tfx.dsl.compiler.compiler import Compiler
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_component_specs as keys
from tfx.utils.proto_utils import proto_to_json

from components import user_code
from pipeline.build import build
from pipeline.config import Config
from pipeline.ingest import input_of
from pipeline.ir import node_of
from pipeline.nodes import PUSHER


def compile_pipeline(config: Config, root: Path) -> pipeline_pb2.Pipeline:
    """Builds and compiles; the run id is still a parameter.

    Raises:
      InputError: the user's file cannot be imported, or the head of the data is wrong; nothing has run by then.
    """
    user_code.load(str(config.resolve(config.model)))
    pipeline: Pipeline = build(config, root)
    ir = Compiler().compile(pipeline)
    node_of(ir, PUSHER).execution_options.caching_options.enable_cache = False
    return ir


def reading(ir: pipeline_pb2.Pipeline, config: Config) -> pipeline_pb2.Pipeline:
    """A copy of the IR whose ExampleGen reads the data of that config: of other spans than it was compiled with."""
    copy = pipeline_pb2.Pipeline()
    copy.CopyFrom(ir)
    base, inputs = input_of(config)
    ingest = node_of(copy, "ExampleGen")
    for name, value in ((keys.INPUT_BASE_KEY, str(base)), (keys.INPUT_CONFIG_KEY, proto_to_json(inputs))):
        ingest.parameters.parameters[name].field_value.string_value = value
    return copy
