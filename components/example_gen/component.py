"""TFX components that read the data: ColumnarExampleGen for CSV and Parquet, RecordExampleGen for TFRecords."""

import json
from collections.abc import Mapping, Sequence
from typing import get_args

from tfx import types
from tfx.components.example_gen import utils
from tfx.components.example_gen.import_example_gen.component import ImportExampleGen
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import example_gen_pb2
from tfx.types import component_spec, standard_artifacts
from tfx.types import standard_component_specs as keys

from components.example_gen.columns import ColumnType
from components.example_gen.driver import ContentDriver
from components.example_gen.executor import COLUMN_TYPES_KEY, FORMAT_KEY, LABEL_KEY, TASK_KEY, WEIGHT_KEY, Executor
from components.example_gen.sources import DataFormat


class RecordExampleGen(ImportExampleGen):
    """TFX's ImportExampleGen for TFRecords of tf.Examples, cached by the contents of the files."""

    DRIVER_CLASS = ContentDriver


class ColumnarExampleGenSpec(component_spec.ComponentSpec):
    """TFX's file based ExampleGen, and what the data is."""

    PARAMETERS = {
        **keys.FileBasedExampleGenSpec.PARAMETERS,
        FORMAT_KEY: component_spec.ExecutionParameter(type=str),
        LABEL_KEY: component_spec.ExecutionParameter(type=str),
        TASK_KEY: component_spec.ExecutionParameter(type=str),
        WEIGHT_KEY: component_spec.ExecutionParameter(type=str, optional=True),
        COLUMN_TYPES_KEY: component_spec.ExecutionParameter(type=str),
    }
    INPUTS = keys.FileBasedExampleGenSpec.INPUTS
    OUTPUTS = keys.FileBasedExampleGenSpec.OUTPUTS


class ColumnarExampleGen(base_beam_component.BaseBeamComponent):
    """Reads CSV or Parquet files and writes the splits of tf.Examples, in about a twelfth of CsvExampleGen's time.

    A missing value is an absent feature; integers are int64 features, floats float32, everything else bytes; a Parquet
    list is a multi-valued feature, and so is a label of several columns. A row's split is a hash of what is in it, so
    identical rows are in one split.
    Spans are resolved as in TFX; the cache key goes by the contents of the files.

    Example:
      ColumnarExampleGen(input_base="data", label="tips", task="regression", data_format="csv")

    Outputs:
      examples: standard_artifacts.Examples, gzipped TFRecords of tf.Examples.
    """

    SPEC_CLASS = ColumnarExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = ContentDriver

    def __init__(
        self,
        *,
        input_base: str,
        label: str | Sequence[str],
        task: str,
        weight: str | None = None,
        data_format: DataFormat = "csv",
        input_config: example_gen_pb2.Input | None = None,
        output_config: example_gen_pb2.Output | None = None,
        column_types: Mapping[str, str] | None = None,
    ) -> None:
        """Checks the arguments; the files are looked at when the component runs.

        Args:
          input_base: the folder that the patterns of `input_config` start from.
          label: the column to predict; or, for the task multilabel, the columns of 0 and 1 that become one feature,
            `sources.JOINED_LABEL`.
          task: multiclass, binary, multilabel or regression: what every row's label is checked for.
          weight: the column that examples are weighted by; every row's is checked to be a number from 0 on.
          data_format: "csv" or "parquet".
          input_config: one split with a pattern to split by hash, or a split for each folder of pre-split data.
            Default: all files of `input_base`, split by hash.
          output_config: the splits and their hash buckets, where rows are split by hash. Default: train 2, eval 1.
          column_types: types known from a curated schema: "int64", "float32" or "string" by column. The others are
            inferred over all files.

        Raises:
          ValueError: an argument is not one of the above.
        """
        if data_format not in get_args(DataFormat):
            raise ValueError(f"data_format is {data_format!r}; expected one of {get_args(DataFormat)}.")
        read = input_config or utils.make_default_input_config()
        written = output_config or utils.make_default_output_config(read)
        _check_splits(read, written)
        kinds = {name: ColumnType(kind).value for name, kind in (column_types or {}).items()}
        spec = ColumnarExampleGenSpec(
            input_base=input_base,
            input_config=read,
            output_config=written,
            output_data_format=example_gen_pb2.FORMAT_TF_EXAMPLE,
            output_file_format=example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            data_format=data_format,
            label=json.dumps([label] if isinstance(label, str) else [*label]),
            task=task,
            weight=weight,
            column_types=json.dumps(kinds, sort_keys=True),
            examples=types.Channel(type=standard_artifacts.Examples),
        )
        super().__init__(spec=spec)


def _check_splits(read: example_gen_pb2.Input, written: example_gen_pb2.Output) -> None:
    shares = {split.name: split.hash_buckets for split in written.split_config.splits}
    if shares and len(read.splits) != 1:
        raise ValueError(
            f"input_config has {len(read.splits)} splits and output_config asks to split by hash; expected one of the "
            "two: one input split, or no output splits."
        )
    if any(share < 1 for share in shares.values()):
        raise ValueError(f"hash_buckets are {shares}; expected at least 1 for every split.")
    if written.split_config.HasField("partition_feature_name"):
        raise ValueError("partition_feature_name is not supported; rows are split by all that is in them.")
