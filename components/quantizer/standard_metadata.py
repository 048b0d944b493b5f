"""A card as TFLite's own metadata, the flatbuffer `TFLITE_METADATA`, which Android Studio, MediaPipe and others read.

The tables and their fields are those of metadata_schema.fbs 1.2.1 (github.com/tensorflow/tflite-support), of which no
package that Slipway needs has a copy.
"""

import dataclasses
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import number_types

from components.quantizer.card import CARD, LABELS, Card, Tensor

NAME = "TFLITE_METADATA"  # of the entry in the model's list of metadata

# In the schema's order, by which they are found; a union has a field for its type before it.
FIELDS: dict[str, tuple[str, ...]] = {
    "AssociatedFile": ("name", "description", "type"),
    "Content": ("content_properties_type", "content_properties"),
    "FeatureProperties": (),
    "ImageProperties": ("color_space",),
    "NormalizationOptions": ("mean", "std"),
    "ProcessUnit": ("options_type", "options"),
    "Stats": ("max", "min"),
    "TensorMetadata": (
        "name", "description", "dimension_names", "content", "process_units", "stats", "associated_files",
    ),
    "SubGraphMetadata": ("name", "description", "input_tensor_metadata", "output_tensor_metadata"),
    "ModelMetadata": (
        "name", "description", "version", "subgraph_metadata", "author", "license", "associated_files",
        "min_parser_version",
    ),
}  # fmt: skip
_FILE_IDENTIFIER = b"M001"
_PARSER = "1.0.0"  # no newer field is used
_DESCRIPTIONS, _TENSOR_AXIS_LABELS = 1, 2  # types of an AssociatedFile
_FEATURE, _IMAGE = 1, 2  # types of Content
_COLOR_SPACES = {1: 2, 3: 1}  # of an image with so many channels: GRAYSCALE, RGB
_NORMALIZATION = 1  # type of a ProcessUnit


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of the schema: text, numbers (one byte), lists of floats, tables and lists of tables by field."""

    name: str
    fields: dict[str, Any]


def encode(card: Card) -> bytes:
    """The flatbuffer of a card."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, _model(card)), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


def _model(card: Card) -> Table:
    return _table(
        "ModelMetadata",
        name=f"{card.task} of {card.label}",
        description=_description(card),
        subgraph_metadata=[
            _table(
                "SubGraphMetadata",
                name=card.signature,
                input_tensor_metadata=[_input(tensor) for tensor in card.inputs],
                output_tensor_metadata=[_output(card)],
            )
        ],
        associated_files=[_table("AssociatedFile", name=CARD, description="how to call the model", type=_DESCRIPTIONS)],
        min_parser_version=_PARSER,
    )


def _description(card: Card) -> str:
    made = f"Made by Slipway {card.slipway} with TensorFlow {card.tensorflow}."
    if card.preprocessing != "outside":
        return made
    raw = ", ".join(feature.name for feature in card.raw_features)
    return f"{made} The caller computes preprocessing_fn of {raw}: it is not in the file."


def _input(tensor: Tensor) -> Table:
    """Numbers as they are in the data: the model brings them to scale itself."""
    channels = tensor.shape[3] if len(tensor.shape) == 4 else None
    content = _table("Content", content_properties_type=_FEATURE, content_properties=_table("FeatureProperties"))
    if channels in _COLOR_SPACES:
        properties = _table("ImageProperties", color_space=_COLOR_SPACES[channels])
        content = _table("Content", content_properties_type=_IMAGE, content_properties=properties)
    as_it_is = _table("NormalizationOptions", mean=[0.0], std=[1.0])
    unit = _table("ProcessUnit", options_type=_NORMALIZATION, options=as_it_is)
    return _table(
        "TensorMetadata",
        name=tensor.name,
        description=_held(tensor),
        content=content,
        process_units=[unit],
        **_range(tensor),
    )


def _output(card: Card) -> Table:
    labels = _table(
        "AssociatedFile", name=LABELS, description="a name for each value of the output", type=_TENSOR_AXIS_LABELS
    )
    files = {"associated_files": [labels]} if card.class_names else {}
    return _table(
        "TensorMetadata",
        name=card.output.name,
        description=_held(card.output),
        content=_table("Content", content_properties_type=_FEATURE, content_properties=_table("FeatureProperties")),
        **_range(card.output),
        **files,
    )


def _held(tensor: Tensor) -> str:
    shape = ", ".join("any" if size is None else str(size) for size in tensor.shape)
    meant = "" if tensor.scale is None else f", which mean {tensor.scale!r} * (held - {tensor.zero_point})"
    return f"{tensor.dtype} [{shape}]{meant}"


def _range(tensor: Tensor) -> dict[str, Table]:
    if tensor.scale is None or tensor.zero_point is None:
        return {}
    limits = np.iinfo(tensor.dtype)
    low, high = (tensor.scale * (held - tensor.zero_point) for held in (limits.min, limits.max))
    return {"stats": _table("Stats", max=[high], min=[low])}


def _table(name: str, /, **fields: Any) -> Table:
    return Table(name, fields)


def _write(builder: Any, table: Table) -> int:
    """Children first: a flatbuffer is built from its end."""
    written = {name: _child(builder, value) for name, value in table.fields.items()}
    order = FIELDS[table.name]
    builder.StartObject(len(order))
    for name, value in written.items():
        if isinstance(table.fields[name], int):
            builder.PrependSlot(number_types.Int8Flags, order.index(name), value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(order.index(name), value, 0)
    return int(builder.EndObject())


def _child(builder: Any, value: Any) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, Table):
        return _write(builder, value)
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value[0], float):
        return int(builder.CreateNumpyVector(np.array(value, np.float32)))
    offsets = [_write(builder, table) for table in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
