"""Raw tf.Examples as requests: from a split of an Examples artifact to the named tensors that a signature takes."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact

from components import dataset
from lineage.outcome import InputError

Array = np.ndarray[Any, Any]


class NotServableError(Exception):
    """The model cannot be served as it should be; the message is a sentence with the reason."""


@dataclasses.dataclass(frozen=True)
class Request:
    """One serialized tf.Example and the same as named tensors, a batch of one."""

    example: bytes
    inputs: dict[str, Array]


def read_examples(artifacts: list[Artifact], split: str) -> Iterator[bytes]:
    """The serialized examples of a split, in the order of its files.

    Raises:
        InputError: there is no such split, or it is empty.
    """
    known = sorted(set.intersection(*(set(artifact_utils.decode_split_names(a.split_names)) for a in artifacts)))
    if split not in known:
        raise InputError(f"The examples have no split {split!r}; choose one of: {', '.join(known)}.")
    records = dataset.records(artifacts, split).as_numpy_iterator()
    first = next(records, None)
    if first is None:
        raise InputError(f"The split {split!r} has no examples; the serving check needs at least one.")
    return _chain(first, records)


def _chain(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def to_requests(examples: Iterable[bytes], specs: Mapping[str, tf.TensorSpec], count: int) -> list[Request]:
    """The first `count` examples that have a value for every input of fixed shape.

    An example that lacks one cannot be put into that tensor, nor be parsed by the model itself.

    Raises:
        NotServableError: no example is complete, or one has values of another kind or number than the input takes.
    """
    requests: list[Request] = []
    lacking: set[str] = set()
    for serialized in examples:
        features = tf.train.Example.FromString(serialized).features.feature
        missing = {name for name, spec in specs.items() if _is_fixed(spec) and not _values(features, name)}
        if missing:
            lacking |= missing
            continue
        requests.append(Request(serialized, {name: _to_array(features, name, spec) for name, spec in specs.items()}))
        if len(requests) == count:
            break
    if not requests:
        raise NotServableError(f"No example has a value for each of the model's inputs; missing: {sorted(lacking)}.")
    return requests


def serialized_requests(examples: Iterable[bytes], name: str, count: int) -> list[Request]:
    """The first `count` examples for a signature whose only input, `name`, takes them as they are."""
    return [
        Request(serialized, {name: np.array([serialized], object)}) for serialized in itertools.islice(examples, count)
    ]


def _is_fixed(spec: tf.TensorSpec) -> bool:
    return bool(spec.shape.rank is not None and spec.shape[1:].is_fully_defined())


def _values(features: Mapping[str, tf.train.Feature], name: str) -> list[Any]:
    feature = features[name] if name in features else tf.train.Feature()
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def _to_array(features: Mapping[str, tf.train.Feature], name: str, spec: tf.TensorSpec) -> Array:
    """One feature as a batch of one: `[1, ...]` by the fixed sizes of the input, `[1, n]` where it has none."""
    values = _values(features, name)
    if any(isinstance(value, bytes) != (spec.dtype == tf.string) for value in values):
        received = type(values[0]).__name__
        raise NotServableError(f"Feature {name} holds {received} values; the signature takes {spec.dtype.name}.")
    shape = [None] if spec.shape.rank is None else spec.shape.as_list()[1:]
    array = np.array(values, dtype=object if spec.dtype == tf.string else spec.dtype.as_numpy_dtype)
    try:
        return array.reshape([1, *(-1 if size is None else size for size in shape)])
    except ValueError as error:
        message = f"Feature {name} has {len(values)} values; the signature takes {spec.dtype.name} {spec.shape}."
        raise NotServableError(message) from error
