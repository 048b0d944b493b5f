"""The Beam step of the executor: input files in, one gzipped TFRecord file a split out, a record batch at a time."""

import contextlib
import dataclasses
import uuid
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tfx.dsl.io import fileio
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

from components.example_gen import sources
from components.example_gen.content_hash import assign_splits

# Level 1 writes 4x faster than the default 6 for files a quarter larger; writing is most of this component's time.
_GZIP = tf.io.TFRecordOptions(compression_type="GZIP", compression_level=1)


@dataclasses.dataclass(frozen=True)
class Shard:
    """Some of the input files, and the name of the file they become in each of the splits.

    `splits` maps the splits that their rows go to, to their shares in hash buckets.
    """

    files: tuple[str, ...]
    splits: dict[str, int]
    name: str


def make_shards(files: list[str], splits: dict[str, int], most: int) -> list[Shard]:
    """Deals the files, in order, into at most `most` shards under TFX's file names."""
    count = min(len(files), most)
    return [
        Shard(tuple(part.tolist()), splits, f"data_tfrecord-{index:05d}-of-{count:05d}.gz")
        for index, part in enumerate(np.array_split(np.array(files, dtype=object), count))
    ]


class WriteShard(beam.DoFn):
    """Writes the examples of a shard. The same shard gives the same examples in the same order, on any runner."""

    def __init__(self, *, source: sources.Source, folders: dict[str, str], staging: str) -> None:
        """`folders` maps each split to the folder of its examples; `staging` is where files are while being written."""
        self._source = source
        self._folders = folders
        self._staging = staging

    def process(self, shard: Shard) -> None:
        """Writes the shard's file of every split; a file is in its split's folder when it is whole."""
        staged = {split: f"{self._staging}/{uuid.uuid4().hex}.gz" for split in shard.splits}
        with contextlib.ExitStack() as stack:
            writers = [stack.enter_context(tf.io.TFRecordWriter(path, _GZIP)) for path in staged.values()]
            for examples, splits in self._encoded(shard):
                for index, writer in enumerate(writers):
                    for row in np.flatnonzero(splits == index):
                        writer.write(examples[row])
        for split, path in staged.items():
            # A retried bundle writes the same examples again.
            fileio.rename(path, f"{self._folders[split]}/{shard.name}", overwrite=True)

    def _encoded(self, shard: Shard) -> Iterator[tuple[list[bytes], npt.NDArray[np.intp]]]:
        encoder = RecordBatchToExamplesEncoder()
        for path in shard.files:
            for batch in sources.batches(path, self._source):
                yield encoder.encode(batch), assign_splits(batch, shard.splits)
