"""Reads a split: decodes its records once, in their order, and holds them in memory or in a file."""

import collections
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.types.artifact import Artifact

from components.dataset.decoding import decode, records
from components.dataset.disk import DiskSplit, is_written, write_split
from components.dataset.images import check_images
from components.dataset.rows import Rows
from components.dataset.spec import FeatureSpec, parser
from components.dataset.split import AnySplit, Split
from lineage.outcome import InputError

log = logging.getLogger("slipway.dataset")

MIB = 2**20
Parse = Callable[[tf.Tensor], Mapping[str, Any]]
_SAMPLE = 64  # records whose size decides how many are decoded, and later read, at a time: about a MiB
_MOST_ROWS = 8192
_STRING_BYTES = 24  # besides those of a long text


@dataclasses.dataclass(frozen=True)
class Cache:
    """Where decoded examples are held if not all of them are in memory.

    Attributes:
      folder: Where each split gets a folder, which the next process finds again.
      most_in_memory: Bytes of a split up to which it is held in memory all the same.
      window: Bytes of memory for the part of a split on disk that is being read; rows that are taken in their order
        need no more than the default.
    """

    folder: Path
    most_in_memory: int
    window: int = 16 * MIB

    def in_order(self) -> "Cache":
        """The same for a split that is read in its order only, for which a small part is enough."""
        return Cache(self.folder, self.most_in_memory)


def read_split(
    examples: list[Artifact],
    split: str,
    spec: FeatureSpec,
    label: str,
    weight: str | None = None,
    cache: Cache | None = None,
    parse: Parse | None = None,
) -> AnySplit:
    """Reads one split of the Examples.

    Args:
      examples: Examples artifacts.
      split: The split's name.
      spec: What they hold, with the sizes of the images.
      label: The feature that is the label: one value in each row, or k.
      weight: The feature that says how much each row counts; None: all the same.
      cache: Where the rows are held; None: in memory.
      parse: What makes the features of `spec` of serialized examples `[m]`; None: they hold these as they are.

    Raises:
      InputError: the label or the weight is not among the features, or missing in some rows, the weights are not
        numbers of 0 or more, an image is none or of another size, the split has no examples, or the disk is full.
    """
    for role, name in (("label", label), ("weight", weight)):
        if name is not None:
            _check_role(role, name, spec)
    parse = parse or functools.partial(tf.io.parse_example, features=parser(spec))
    held = _held(_blocks(examples, split, spec, label, weight, parse), split, cache)
    if weight is not None:
        _check_weights(held, weight)
    return held


def _check_role(role: str, name: str, spec: FeatureSpec) -> None:
    if name not in spec:
        raise InputError(f"The {role} {name!r} is not among the features {', '.join(sorted(spec))}.")
    feature = spec[name]
    if not isinstance(feature, tf.io.FixedLenFeature):
        raise InputError(
            f"The {role} {name!r} is missing in some examples or of varying length, expected as many numbers in every "
            "one. Correct the data, or give it a shape in the schema."
        )
    values = tf.TensorShape(feature.shape).num_elements()
    if role == "weight" and (feature.dtype == tf.string or values != 1):
        received = "text" if feature.dtype == tf.string else f"{values} numbers a row"
        raise InputError(f"The weight {name!r} holds {received}, expected one number a row.")


def _blocks(
    examples: list[Artifact], split: str, spec: FeatureSpec, label: str, weight: str | None, parse: Parse
) -> Iterator[Rows]:
    """Decoded rows in their order, lists of values as RaggedTensors; as many in each block, but fewer in the last."""

    def decoded(batch: tf.Tensor) -> Rows:
        features = decode(parse(batch), spec)
        labels = _labels(features.pop(label))
        weights = () if weight is None else tf.cast(tf.reshape(features.pop(weight), [-1]), tf.float32)
        return Rows(features, labels, weights)

    options = tf.data.Options()
    options.autotune.enabled = False  # with it, destroying an iterator can block for half a minute (TF 2.21)
    serialized = records(examples, split).with_options(options)
    try:
        for sample in serialized.batch(_SAMPLE).take(1).map(decoded):
            rows = min(max(1, MIB * len(sample.labels) // _bytes(sample)), _MOST_ROWS)
            yield from serialized.batch(rows).map(decoded, num_parallel_calls=2).prefetch(1)
    except tf.errors.InvalidArgumentError:
        check_images(spec, examples, split)
        raise


def _held(blocks: Iterator[Rows], split: str, cache: Cache | None) -> AnySplit:
    if cache is not None and is_written(cache.folder / split):
        return DiskSplit(split, cache.folder / split, cache.window)
    held, size = collections.deque[Rows](), 0
    for block in blocks:
        held.append(block)
        size += _bytes(block)
        if cache is not None and size > cache.most_in_memory:
            return _on_disk(held, blocks, split, cache)
    if not held:
        raise InputError(f"The split {split!r} has no examples. Give more data, or a larger share in data.splits.")
    joined = _in_memory(held, split)
    bound = f", of {cache.most_in_memory / MIB:,.0f} that a split may take" if cache is not None else ""
    log.info("%s: %s examples in memory, %s MiB%s.", split, f"{len(joined):,}", f"{size / MIB:,.1f}", bound)
    return joined


def _on_disk(held: collections.deque[Rows], blocks: Iterator[Rows], split: str, cache: Cache) -> AnySplit:
    def drained() -> Iterator[Rows]:
        while held:
            yield held.popleft()
        yield from blocks

    folder = cache.folder / split
    write_split(folder, drained())
    found = DiskSplit(split, folder, cache.window)
    size, most, window = (f"{size / MIB:,.0f} MiB" for size in (found.bytes, cache.most_in_memory, cache.window))
    why = f", more than the {most} that a split may take in memory" if cache.most_in_memory else ""
    log.info(
        "%s: %s examples on disk, %s%s; at most %s of them in memory.", split, f"{len(found):,}", size, why, window
    )
    return found


def _in_memory(held: collections.deque[Rows], split: str) -> Split:
    """Joins the blocks, column by column, so that no more than one column is there twice."""
    structure = held[0]
    parts = [collections.deque(column) for column in zip(*map(tf.nest.flatten, held), strict=True)]
    held.clear()
    columns = []
    for part in parts:
        columns.append(tf.concat([*part], axis=0))
        part.clear()
    return Split(split, *tf.nest.pack_sequence_as(structure, columns))


def _labels(column: tf.Tensor) -> tf.Tensor:
    """`[n]` where each row has one value, else `[n, k]`."""
    values = column.shape[1:].num_elements()
    return tf.reshape(column, [-1] if values == 1 else [-1, values])


def _bytes(rows: Rows) -> int:
    return sum(map(_bytes_of, tf.nest.flatten(rows, expand_composites=True)))


def _bytes_of(column: tf.Tensor) -> int:
    if column.dtype != tf.string:
        return int(tf.size(column)) * column.dtype.size
    return int(tf.size(column)) * _STRING_BYTES + int(tf.reduce_sum(tf.strings.length(column)))


def _check_weights(split: AnySplit, name: str) -> None:
    wrong, where = split.facts.wrong_weights, f"the split {split.name!r}"
    if wrong:
        raise InputError(
            f"The weight {name!r} has {wrong} values that are negative, NaN or infinite in {where}; expected numbers "
            "of 0 or more. Correct the data."
        )
    if not split.facts.greatest_weight:
        raise InputError(f"The weight {name!r} is 0 in every row of {where}, so that nothing counts there.")
