"""What the Quantizer reads: the model's inputs, the splits train and test, and the slices of test."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance

from components import dataset
from components.quantizer.compare import Truth
from components.quantizer.slices import by_columns

_SHARE = 4  # of the available memory that a split may take; beyond that it is on disk
_TEST = "test"


@dataclasses.dataclass(frozen=True)
class Data:
    """Specs of the model's inputs, `[batch, ...]` by name, and the examples as the model takes them."""

    inputs: Mapping[str, tf.TensorSpec]
    train: dataset.AnySplit
    test: dataset.AnySplit
    truth: Truth


def read(
    input_dict: Mapping[str, list[Artifact]],
    *,
    task: str,
    label: str,
    weight: str | None,
    slices: Sequence[str],
    folder: Path,
) -> Data:
    """Reads the channels `examples`, `schema`, `transform_graph` and, for the slices, `raw_examples`.

    Where there are slices, the test split is read from the raw examples and transformed here: Transform does not keep
    their order.

    Args:
      input_dict: The Quantizer's inputs.
      task: multiclass, binary, multilabel or regression.
      label: The label feature.
      weight: The feature that examples count by.
      slices: Raw columns, a comma joins several.
      folder: For what does not fit into memory; to be kept while the data is used.
    """
    schema = dataset.read_schema(get_single_instance(list(input_dict["schema"])))
    transform = dataset.read_transform(input_dict.get("transform_graph"))
    examples = input_dict["examples"]
    spec = dataset.with_image_sizes(dataset.model_spec(schema, transform), examples)
    cache = dataset.Cache(folder, dataset.available_memory() // _SHARE)
    raw_spec = dataset.raw_spec(schema)
    train = dataset.read_split(examples, "train", spec, label, weight, cache)
    raw = (input_dict.get("raw_examples") or examples) if slices else examples
    parse = _transforming(transform, raw_spec) if slices and transform else None
    test = dataset.read_split(raw, _TEST, spec, label, weight, cache, parse)
    found = by_columns(raw, _TEST, slices, raw_spec)
    truth = Truth.of(test, task=task, label=label, slices=found)
    return Data(dataset.input_specs(spec, label, weight), train, test, truth)


def _transforming(transform: tft.TFTransformOutput, raw_spec: dataset.FeatureSpec) -> Any:
    layer = transform.transform_features_layer()
    return lambda batch: layer(tf.io.parse_example(batch, dict(raw_spec)))
