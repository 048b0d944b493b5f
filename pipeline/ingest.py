"""The ExampleGen of a config: which component reads the format, and how its files become splits."""

from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.proto import example_gen_pb2

from components.example_gen import sources
from components.example_gen.component import ColumnarExampleGen, RecordExampleGen
from components.schema_importer import curated
from lineage.outcome import InputError
from pipeline import checks
from pipeline.config import Config


def example_gen(config: Config) -> BaseComponent:
    """A columnar ExampleGen for CSV and Parquet, one of records for TFRecords; its id is `ExampleGen`."""
    base, inputs = input_of(config)
    common = {"input_base": str(base), "input_config": inputs, "output_config": _output(config)}
    if config.data.format == "tfrecord":
        _check_first_record(config)
        return RecordExampleGen(**common).with_id("ExampleGen")
    return ColumnarExampleGen(
        **common,
        data_format=config.data.format,
        label=config.data.label,
        task=config.task,
        weight=config.data.weight,
        column_types=_column_types(config),
    ).with_id("ExampleGen")


def first_record(config: Config) -> tf.train.Example:
    """The first record of data that is TFRecords; raises InputError where it is no tf.Example."""
    [file, *_] = sources.resolve_files(checks.data_patterns(config)[0])
    compression = "GZIP" if file.endswith(".gz") else ""
    try:
        [record] = tf.data.TFRecordDataset(file, compression).take(1).as_numpy_iterator()
        return tf.train.Example.FromString(record)
    except (ValueError, DecodeError, tf.errors.DataLossError):
        raise InputError(f"{file} does not begin with a tf.Example; expected TFRecords of tf.Example.") from None


def _check_first_record(config: Config) -> None:
    """Label and weight are features of the first record; what a header tells of the other formats."""
    names = sorted(first_record(config).features.feature)
    sources.check_column("label", config.data.label_feature, names)
    if config.data.weight:
        sources.check_column("weight", config.data.weight, names)


def input_of(config: Config) -> tuple[Path, example_gen_pb2.Input]:
    """The folder of the data, and the globs below it: one, or one a split."""
    path = config.resolve(config.data.path)
    if config.data.is_split:
        return path, _patterns({name: str(glob) for name, glob in config.data.splits.items()})
    base = path
    while base == path or any(character in str(base) for character in "*?["):
        base = base.parent
    return base, _patterns({"all": str(path.relative_to(base))})


def _patterns(globs: dict[str, str]) -> example_gen_pb2.Input:
    splits = [example_gen_pb2.Input.Split(name=name, pattern=glob) for name, glob in globs.items()]
    return example_gen_pb2.Input(splits=splits)


def _output(config: Config) -> example_gen_pb2.Output | None:
    if config.data.is_split:
        return None
    split = example_gen_pb2.SplitConfig.Split
    buckets = [split(name=name, hash_buckets=int(ratio)) for name, ratio in config.data.splits.items()]
    return example_gen_pb2.Output(split_config=example_gen_pb2.SplitConfig(splits=buckets))


def _column_types(config: Config) -> dict[str, str]:
    """Types that the curated schema fixes, so that a column of whole numbers can be a float."""
    if not config.schema_file:
        return {}
    return curated.column_types(curated.read_schema(str(config.resolve(config.schema_file))))
