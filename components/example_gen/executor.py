"""Executor of the ColumnarExampleGen: reads the source through once, then has Beam write the splits."""

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx import types
from tfx.components.example_gen import write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as keys
from tfx.utils import proto_utils

from components.artifacts import LABEL_NAMES
from components.example_gen import sources
from components.example_gen.columns import ColumnType
from components.example_gen.label_values import check_values
from components.example_gen.shards import Shard, WriteShard, make_shards
from lineage.outcome import InputError

FORMAT_KEY = "data_format"
LABEL_KEY = "label"
TASK_KEY = "task"
WEIGHT_KEY = "weight"
COLUMN_TYPES_KEY = "column_types"

# Enough to keep the workers of an engine busy, few enough that files stay worth opening.
MOST_SHARDS = 64


class Executor(base_beam_executor.BaseBeamExecutor):
    """Turns CSV or Parquet files into the splits of an Examples artifact."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `examples`; raises InputError where a row cannot be read or learned from, or a split is empty."""
        self._log_startup(input_dict, output_dict, exec_properties)
        patterns, shares = _splits(exec_properties)
        files = {split: sources.resolve_files(pattern) for split, pattern in patterns.items()}
        source = _read_through([path for some in files.values() for path in some], exec_properties)
        shards = [
            shard
            for split, some in files.items()
            for shard in make_shards(some, shares if shares else {split: 1}, MOST_SHARDS)
        ]

        examples = artifact_utils.get_single_instance(output_dict[keys.EXAMPLES_KEY])
        names = [*(shares or patterns)]
        examples.split_names = artifact_utils.encode_split_names(names)
        folders = {name: artifact_utils.get_split_uri([examples], name) for name in names}
        self._write(shards, source, folders, staging=f"{examples.uri}/.writing")
        _refuse_empty(folders, shares, source.rows)
        if source.joined:
            examples.set_string_custom_property(LABEL_NAMES, json.dumps(source.joined))
        examples_utils.set_payload_format(examples, exec_properties[keys.OUTPUT_DATA_FORMAT_KEY])
        examples_utils.set_file_format(
            examples, write_split.to_file_format_str(exec_properties[keys.OUTPUT_FILE_FORMAT_KEY])
        )

    def _write(self, shards: list[Shard], source: sources.Source, folders: dict[str, str], staging: str) -> None:
        for folder in [*folders.values(), staging]:
            fileio.makedirs(folder)
        with self._make_beam_pipeline() as pipeline:
            writer = WriteShard(source=source, folders=folders, staging=staging)
            _ = pipeline | "Shards" >> beam.Create(shards) | "Write" >> beam.ParDo(writer)
        fileio.rmtree(staging)


def _splits(exec_properties: dict[str, Any]) -> tuple[dict[str, str], dict[str, int]]:
    """The pattern of each input split, and the share of each output split where rows are split by hash."""
    read, written = example_gen_pb2.Input(), example_gen_pb2.Output()
    proto_utils.json_to_proto(exec_properties[keys.INPUT_CONFIG_KEY], read)
    proto_utils.json_to_proto(exec_properties[keys.OUTPUT_CONFIG_KEY], written)
    base = Path(exec_properties[keys.INPUT_BASE_KEY])
    patterns = {split.name: str(base / split.pattern) for split in read.splits}
    return patterns, {split.name: split.hash_buckets for split in written.split_config.splits}


def _read_through(files: list[str], exec_properties: dict[str, Any]) -> sources.Source:
    fixed = {name: ColumnType(kind) for name, kind in json.loads(exec_properties[COLUMN_TYPES_KEY]).items()}
    source = sources.read_through(files, exec_properties[FORMAT_KEY], fixed)
    label, weight = json.loads(exec_properties[LABEL_KEY]), exec_properties.get(WEIGHT_KEY)
    sources.check_columns(source.columns, label, weight)
    check_values(files, source, label=label, task=exec_properties[TASK_KEY], weight=weight)
    logging.getLogger("slipway").info(
        "%s rows of %d columns in %d file(s)", f"{source.rows:,}", len(source.columns), len(files)
    )
    return dataclasses.replace(source, joined=tuple(label)) if len(label) > 1 else source


def _refuse_empty(folders: dict[str, str], shares: dict[str, int], rows: int) -> None:
    datasets = {split: tf.data.TFRecordDataset(_files(folder), "GZIP") for split, folder in folders.items()}
    empty = [split for split, dataset in datasets.items() if not _count(dataset.take(1))]
    if not empty:
        return
    counts = ", ".join(f"{split} {_count(dataset):,}" for split, dataset in datasets.items())
    ratios = ", ".join(f"{split} {share}" for split, share in shares.items())
    asked = f" by the ratios {ratios}" if ratios else ""
    raise InputError(
        f"The split {', '.join(map(repr, empty))} has no example: {rows:,} rows were split{asked} into {counts}. "
        "Give it a larger share, or give more rows (identical rows are always in one split)."
    )


def _files(folder: str) -> list[str]:
    return sorted(fileio.glob(f"{folder}/*"))


def _count(dataset: tf.data.Dataset) -> int:
    return sum(1 for _ in dataset.as_numpy_iterator())
