"""What the Quantizer reads: the model's inputs, the splits train and test, and the slices of test."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance

from components import dataset
from components.artifacts import LABEL_NAMES
from components.quantizer.card import Feature
from components.quantizer.compare import Truth
from components.quantizer.describe import About
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
    about: About


def read(
    input_dict: Mapping[str, list[Artifact]],
    *,
    task: str,
    label: str,
    weight: str | None,
    slices: Sequence[str],
    class_names: Sequence[str],
    folder: Path,
) -> Data:
    """Reads the channels `examples`, `schema`, `transform_graph` and, with a Transform, `raw_examples`.

    Where there are slices, the test split is read from the raw examples and transformed here: Transform does not keep
    their order.

    Args:
      input_dict: The Quantizer's inputs.
      task: multiclass, binary, multilabel or regression.
      label: The label feature.
      weight: The feature that examples count by.
      slices: Raw columns, a comma joins several.
      class_names: Of the classes; without them, of several labels the columns of the data.
      folder: For what does not fit into memory; to be kept while the data is used.
    """
    schema = dataset.read_schema(get_single_instance(list(input_dict["schema"])))
    transform = dataset.read_transform(input_dict.get("transform_graph"))
    examples = input_dict["examples"]
    spec = dataset.with_image_sizes(dataset.model_spec(schema, transform), examples)
    cache = dataset.Cache(folder, dataset.available_memory() // _SHARE)
    raw_spec = dataset.raw_spec(schema)
    train = dataset.read_split(examples, "train", spec, label, weight, cache)
    raw = input_dict.get("raw_examples") or examples
    parse = _transforming(transform, raw_spec) if slices and transform else None
    test = dataset.read_split(raw if slices else examples, _TEST, spec, label, weight, cache, parse)
    found = by_columns(raw, _TEST, slices, raw_spec)
    about = About(
        task=task,
        label=label,
        class_names=class_names or _class_names(task, label, raw),
        preprocessing="outside" if transform else "none",
        raw_features=_features(raw_spec, label, weight) if transform else (),
    )
    truth = Truth.of(test, task=task, label=label, slices=found)
    return Data(dataset.input_specs(spec, label, weight), train, test, truth, about)


def _class_names(task: str, label: str, raw: list[Artifact]) -> list[str]:
    if task in ("binary", "regression"):
        return [label]
    return json.loads(raw[0].get_string_custom_property(LABEL_NAMES) or "[]") if task == "multilabel" else []


def _features(spec: dataset.FeatureSpec, label: str, weight: str | None) -> list[Feature]:
    inputs = dataset.input_specs(spec, label, weight)
    return [Feature(name=name, dtype=found.dtype.name, shape=found.shape.as_list()) for name, found in inputs.items()]


def _transforming(transform: tft.TFTransformOutput, raw_spec: dataset.FeatureSpec) -> Any:
    layer = transform.transform_features_layer()
    return lambda batch: layer(tf.io.parse_example(batch, dict(raw_spec)))
