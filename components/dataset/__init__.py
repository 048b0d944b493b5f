"""The splits of an Examples artifact as the model sees them: what the Trainer and the Quantizer read.

`spec` says what a record holds, `decoding` makes tensors of it, once; `split` holds them in memory, `disk` in files
of blocks, and both give rows by number, so that the order in which a model sees them is nobody's concern here.
"""

from components.dataset.decoding import decode, padded, records
from components.dataset.disk import DiskSplit
from components.dataset.images import with_image_sizes
from components.dataset.memory import available_memory
from components.dataset.reading import MIB, Cache, read_split
from components.dataset.rows import Blocks, Rows
from components.dataset.spec import (
    FeatureSpec,
    Image,
    input_specs,
    model_spec,
    parser,
    raw_spec,
    read_schema,
    read_transform,
)
from components.dataset.split import AnySplit, Split

__all__ = [
    "MIB",
    "AnySplit",
    "Blocks",
    "Cache",
    "DiskSplit",
    "FeatureSpec",
    "Image",
    "Rows",
    "Split",
    "available_memory",
    "decode",
    "input_specs",
    "model_spec",
    "padded",
    "parser",
    "raw_spec",
    "read_schema",
    "read_split",
    "read_transform",
    "records",
    "with_image_sizes",
]
