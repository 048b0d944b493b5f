"""What the Quantizer reads: the model's inputs, the splits train and test, and the slices of test."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance

from components import dataset
from components.artifacts import LABEL_NAMES
from components.quantizer import raw
from components.quantizer.card import Feature
from components.quantizer.compare import Truth
from components.quantizer.describe import About
from components.quantizer.settings import QuantizerSettings
from components.quantizer.slices import by_columns
from components.signatures import SERVING_DEFAULT, TRANSFORMED

_SHARE = 4  # of the available memory that a split may take; beyond that it is on disk
_TEST = "test"


@dataclasses.dataclass(frozen=True)
class Data:
    """Specs of what `signature` takes, `[batch, ...]` by name, and the examples as it takes them.

    Of `optional` inputs the value may be missing: NaN.
    """

    signature: str
    inputs: Mapping[str, tf.TensorSpec]
    train: dataset.AnySplit
    test: dataset.AnySplit
    truth: Truth
    about: About
    optional: Sequence[str]


def signature_of(input_dict: Mapping[str, list[Artifact]], settings: QuantizerSettings) -> str:
    """The signature that becomes the file: of raw features where `preprocessing_fn` is to be inside."""
    return SERVING_DEFAULT if input_dict.get("transform_graph") and settings.include_preprocessing else TRANSFORMED


def read(
    input_dict: Mapping[str, list[Artifact]],
    *,
    task: str,
    label: str,
    weight: str | None,
    slices: Sequence[str],
    settings: QuantizerSettings,
    folder: Path,
) -> Data:
    """Reads the channels `examples`, `schema`, `transform_graph` and, with a Transform, `raw_examples`.

    Where there are slices, the test split is read from the raw examples and transformed here: Transform does not keep
    their order. Where the file is to have `preprocessing_fn` inside, the features of both splits are the raw ones.

    Args:
      input_dict: The Quantizer's inputs.
      task: multiclass, binary, multilabel or regression.
      label: The label feature.
      weight: The feature that examples count by.
      slices: Raw columns, a comma joins several.
      settings: Whether `preprocessing_fn` is to be inside, and how the classes are called.
      folder: For what does not fit into memory; to be kept while the data is used.
    """
    schema = dataset.read_schema(get_single_instance(list(input_dict["schema"])))
    transform = dataset.read_transform(input_dict.get("transform_graph"))
    examples = input_dict["examples"]
    raw_examples = input_dict.get("raw_examples") or examples
    spec = dataset.with_image_sizes(dataset.model_spec(schema, transform), examples)
    raw_spec = dataset.raw_spec(schema)
    signature = signature_of(input_dict, settings)
    inside = signature == SERVING_DEFAULT
    if inside:
        train_rows = test_rows = _untransformed(raw_examples, schema, transform, spec, label, weight)
    else:
        train_rows = test_rows = _Rows(examples, spec)
    if slices and not inside:
        test_rows = _Rows(raw_examples, spec, _transforming(transform, raw_spec) if transform else None)
    cache = dataset.Cache(folder, dataset.available_memory() // _SHARE)
    train = train_rows.read("train", label, weight, cache)
    test = test_rows.read(_TEST, label, weight, cache)
    outside = transform is not None and not inside
    return Data(
        signature=signature,
        inputs=dataset.input_specs(train_rows.spec, label, weight),
        train=train,
        test=test,
        truth=Truth.of(test, task=task, label=label, slices=by_columns(raw_examples, _TEST, slices, raw_spec)),
        about=About(
            task=task,
            label=label,
            class_names=settings.class_names or _class_names(task, label, raw_examples),
            preprocessing="inside" if inside else "outside" if outside else "none",
            raw_features=_features(raw_spec, label, weight) if outside else (),
        ),
        optional=raw.optional(train_rows.spec) if inside else (),
    )


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Where the rows of a split are and what is made of them; without `parse` they hold the features of `spec`."""

    examples: list[Artifact]
    spec: dataset.FeatureSpec
    parse: Callable[[tf.Tensor], Mapping[str, Any]] | None = None

    def read(self, split: str, label: str, weight: str | None, cache: dataset.Cache) -> dataset.AnySplit:
        return dataset.read_split(self.examples, split, self.spec, label, weight, cache, self.parse)


def _untransformed(
    examples: list[Artifact],
    schema: schema_pb2.Schema,
    transform: tft.TFTransformOutput,
    spec: dataset.FeatureSpec,
    label: str,
    weight: str | None,
) -> _Rows:
    kept = [name for name in (label, weight) if name is not None]
    features = raw.inputs(schema, kept)
    parse = raw.parser(transform, schema, features, kept)
    return _Rows(examples, {**features, **{name: spec[name] for name in kept}}, parse)


def _class_names(task: str, label: str, raw_examples: list[Artifact]) -> list[str]:
    if task in ("binary", "regression"):
        return [label]
    return json.loads(raw_examples[0].get_string_custom_property(LABEL_NAMES) or "[]") if task == "multilabel" else []


def _features(spec: dataset.FeatureSpec, label: str, weight: str | None) -> list[Feature]:
    inputs = dataset.input_specs(spec, label, weight)
    return [Feature(name=name, dtype=found.dtype.name, shape=found.shape.as_list()) for name, found in inputs.items()]


def _transforming(transform: tft.TFTransformOutput, raw_spec: dataset.FeatureSpec) -> Any:
    layer = transform.transform_features_layer()
    return lambda batch: layer(tf.io.parse_example(batch, dict(raw_spec)))
