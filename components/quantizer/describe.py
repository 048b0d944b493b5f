"""Writes into a TFLite file what an app needs to know of it: the card, names of the classes, and TFLite's metadata."""

import dataclasses
import importlib.metadata
from collections.abc import Sequence
from typing import Any, Literal

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from components.quantizer import standard_metadata
from components.quantizer.card import CARD, LABELS, Card, Feature, Tensor, with_files
from lineage.outcome import InputError

RUNTIME_VERSION = "min_runtime_version"  # TFLite's name of the entry
_FILE_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # bytes, that TFLite's schema asks for
_DTYPES = {number: name.lower() for name, number in vars(schema.TensorType).items() if not name.startswith("_")}


@dataclasses.dataclass(frozen=True)
class About:
    """What the file itself does not tell of a card; see there."""

    task: str
    label: str
    class_names: Sequence[str] = ()
    preprocessing: Literal["none", "inside", "outside"] = "none"
    raw_features: Sequence[Feature] = ()


def described(model: bytes, about: About) -> bytes:
    """The model with its card; the same bytes for the same of both.

    Raises:
      InputError: there are not as many names as the model has outputs.
    """
    unpacked = unpack(model)
    card = _card(unpacked, about)
    _check_names(card)
    _add(unpacked, standard_metadata.NAME, standard_metadata.encode(card))
    texts = {CARD: card.model_dump_json(indent=1)}
    if card.class_names:
        texts[LABELS] = "".join(f"{name}\n" for name in card.class_names)
    return with_files(pack(unpacked), texts)


def without_runtime_version(model: bytes) -> bytes:
    """The model without the oldest version of TFLite that can run it, where what it says of that is not so."""
    unpacked = unpack(model)
    unpacked.metadata = [entry for entry in unpacked.metadata if entry.name.decode() != RUNTIME_VERSION]
    return pack(unpacked)


def unpack(model: bytes) -> Any:
    """The file as objects of LiteRT's schema; buffers behind the flatbuffer, where large ones may lie, are in them."""
    unpacked = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    for buffer in unpacked.buffers:
        if buffer.offset > 1:  # 0 and 1 say nothing
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
    return unpacked


def pack(unpacked: Any) -> bytes:
    """The file of these objects, its buffers where the schema wants them, which TensorFlow's converter neglects."""
    unpacked.buffers = [_Aligned(buffer.data) for buffer in unpacked.buffers]
    builder = flatbuffers.Builder(1024)
    builder.Finish(unpacked.Pack(builder), file_identifier=_FILE_IDENTIFIER)
    return bytes(builder.Output())


class _Aligned(schema.BufferT):
    def Pack(self, builder: Any) -> int:  # noqa: N802, the name of the schema
        held = b"" if self.data is None else bytes(self.data)
        vector = _vector(builder, held) if held else None
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def _vector(builder: Any, held: bytes) -> Any:
    builder.StartVector(1, len(held), _ALIGNMENT)
    builder.head -= len(held)
    builder.Bytes[builder.head : builder.head + len(held)] = held
    return builder.EndVector()


def _add(unpacked: Any, name: str, data: bytes) -> None:
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(data, np.uint8)
    entry.name, entry.buffer = name, len(unpacked.buffers)
    unpacked.buffers.append(buffer)
    unpacked.metadata.append(entry)


def _card(unpacked: Any, about: About) -> Card:
    [signature], graph = unpacked.signatureDefs, unpacked.subgraphs[0]
    names = {named.tensorIndex: named.name.decode() for named in (*signature.inputs, *signature.outputs)}
    [output] = graph.outputs
    versions = [unpacked.buffers[e.buffer].data for e in unpacked.metadata if e.name.decode() == RUNTIME_VERSION]
    return Card(
        task=about.task,
        label=about.label,
        signature=signature.signatureKey.decode(),
        inputs=[_tensor(names[number], graph.tensors[number]) for number in graph.inputs],
        output=_tensor(names[output], graph.tensors[output]),
        class_names=[*about.class_names],
        preprocessing=about.preprocessing,
        raw_features=[*about.raw_features],
        min_runtime_version=bytes(versions[0]).rstrip(b"\0").decode() if versions else None,
        slipway=importlib.metadata.version("slipway"),
        tensorflow=importlib.metadata.version("tensorflow"),
    )


def _tensor(name: str, tensor: Any) -> Tensor:
    shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
    scale = None if tensor.quantization is None else tensor.quantization.scale
    return Tensor(
        name=name,
        dtype=_DTYPES[tensor.type],
        shape=[None if size < 0 else int(size) for size in shape],
        scale=None if scale is None else float(scale[0]),
        zero_point=None if scale is None else int(tensor.quantization.zeroPoint[0]),
    )


def _check_names(card: Card) -> None:
    expected = card.output.shape[-1]
    if card.class_names and len(card.class_names) != expected:
        raise InputError(
            f"quantizer.class_names has {len(card.class_names)} names, expected {expected}: one for each value that "
            "the model gives."
        )
