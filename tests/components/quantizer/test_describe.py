"""Claims about what a file says of itself: enough to call it, where TFLite's readers look, the same every time."""

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import encode, number_types
from flatbuffers.table import Table
from keras import layers

from components.quantizer import convert
from components.quantizer.card import CARD, LABELS, Card, Feature
from components.quantizer.describe import About, described, unpack
from lineage.outcome import InputError
from tests.components import small_data
from tests.components.small_data import fixed

_WORD = Feature(name="word", dtype="string", shape=[None, 1])
_ABOUT = About("multiclass", "fruit", ["apple", "plum", "grape"], "outside", [_WORD])
_ROWS = {
    "image": np.random.default_rng(0).uniform(0, 255, (32, 4, 4, 1)).astype(np.float32),
    "age": np.random.default_rng(1).integers(0, 90, (32, 1)),
}


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Takes an image and an integer."""
    keras.utils.set_random_seed(0)
    image, age = keras.Input([4, 4, 1], name="image"), keras.Input([1], name="age", dtype="int64")
    looked_at = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(image)))
    joined = layers.Concatenate()([looked_at, layers.Rescaling(1 / 90)(age)])
    built = keras.Model({"image": image, "age": age}, layers.Dense(3, activation="softmax")(joined))
    features = fixed("image", "FLOAT", 4, 4, 1), fixed("age", "INT", 1)
    return str(Path(small_data.model(tmp_path_factory.mktemp("model"), built, *features).uri, "Format-Serving"))


@pytest.fixture(scope="module")
def plain(saved_model: str) -> bytes:
    return convert.to_int8(saved_model, lambda: ({n: c[r : r + 1] for n, c in _ROWS.items()} for r in range(32)))


@pytest.fixture(scope="module")
def model(plain: bytes) -> bytes:
    return described(plain, _ABOUT)


def test_card_is_all_that_is_needed_to_call_the_file_and_to_read_its_answer(model: bytes, saved_model: str) -> None:
    card = Card.of(model)
    assert (card.task, card.label, card.class_names) == ("multiclass", "fruit", ["apple", "plum", "grape"])
    assert {tensor.name: (tensor.dtype, tensor.shape) for tensor in card.inputs} == {
        "image": ("uint8", [None, 4, 4, 1]),
        "age": ("int64", [None, 1]),
    }
    given = {}
    for tensor in card.inputs:
        held = _ROWS[tensor.name][:1]
        if tensor.scale is not None:
            held = np.clip(np.rint(held / tensor.scale) + tensor.zero_point, 0, 255)
        given[tensor.name] = held.astype(tensor.dtype)
    output = Interpreter(model_content=model).get_signature_runner(card.signature)(**given)[card.output.name]
    assert output.shape == (1, len(card.class_names))
    meant = card.output.scale * (output.astype(np.float32) - card.output.zero_point)
    floats = Interpreter(model_content=convert.to_float(saved_model)).get_signature_runner()
    [expected] = floats(**{name: column[:1] for name, column in _ROWS.items()}).values()
    np.testing.assert_allclose(meant, expected, atol=0.02)


def test_card_says_what_the_caller_computes_and_what_made_the_file(model: bytes) -> None:
    card = Card.of(model)
    assert (card.preprocessing, [feature.name for feature in card.raw_features]) == ("outside", ["word"])
    assert card.min_runtime_version is not None and card.min_runtime_version.split(".")[0] in ("1", "2")
    assert card.tensorflow.startswith("2.") and card.slipway


def test_files_behind_the_model_are_a_zip_archive(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(model)
    with zipfile.ZipFile(tmp_path / "model.tflite") as archive:
        assert archive.namelist() == [CARD, LABELS]
        assert archive.read(LABELS) == b"apple\nplum\ngrape\n"
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED, "TFLite's readers do not unpack"
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
    assert Card.of(tmp_path / "model.tflite") == Card.of(model)


def test_what_the_model_computes_and_its_names_stay(plain: bytes, model: bytes) -> None:
    one, other = (Interpreter(model_content=file).get_signature_runner("transformed") for file in (plain, model))
    given = {"image": _ROWS["image"].astype(np.uint8), "age": _ROWS["age"]}
    np.testing.assert_array_equal(one(**given)["predictions"], other(**given)["predictions"])
    assert described(plain, _ABOUT) == model


def test_weights_lie_where_the_schema_wants_them(model: bytes) -> None:
    """At multiples of 16 bytes (`force_align` in TFLite's schema)."""
    root = schema.Model.GetRootAs(model, 0)
    buffers = [root.Buffers(number) for number in range(root.BuffersLength())]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]
    assert len(starts) > 5
    assert {start % 16 for start in starts} == {0}


class Stored:
    """A table of the metadata by the numbers of its fields, which are those of metadata_schema.fbs, counted there."""

    def __init__(self, data: bytes, position: int):
        self._table = Table(bytearray(data), position)

    def _at(self, field: int) -> int:
        offset = self._table.Offset(4 + 2 * field)
        assert offset, f"field {field} is absent"
        return int(offset)

    def text(self, field: int) -> str:
        return str(self._table.String(self._at(field) + self._table.Pos).decode())

    def byte(self, field: int) -> int:
        return int(self._table.Get(number_types.Int8Flags, self._at(field) + self._table.Pos))

    def table(self, field: int) -> "Stored":
        return Stored(self._table.Bytes, self._table.Indirect(self._at(field) + self._table.Pos))

    def tables(self, field: int) -> list["Stored"]:
        first, count = self._table.Vector(self._at(field)), self._table.VectorLen(self._at(field))
        return [Stored(self._table.Bytes, self._table.Indirect(first + 4 * number)) for number in range(count)]

    def floats(self, field: int) -> list[float]:
        found = self._table.GetVectorAsNumpy(number_types.Float32Flags, self._at(field))
        return [float(number) for number in found]


def stored(model: bytes) -> Stored:
    unpacked = unpack(model)
    [entry] = [entry for entry in unpacked.metadata if entry.name == b"TFLITE_METADATA"]
    data = bytes(unpacked.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    return Stored(data, encode.Get(number_types.UOffsetTFlags.packer_type, data, 0))


def test_tflites_own_metadata_has_the_inputs_in_the_files_order_and_the_labels_of_the_output(model: bytes) -> None:
    root, card = stored(model), Card.of(model)
    assert root.text(0) == "multiclass of fruit"
    assert "The caller computes preprocessing_fn of word" in root.text(1)
    [graph] = root.tables(3)
    inputs = {tensor.text(0): tensor for tensor in graph.tables(2)}
    order = [detail["name"] for detail in Interpreter(model_content=model).get_input_details()]
    assert [name.split("_")[-1].split(":")[0] for name in order] == [*inputs], "such as transformed_image:0"
    assert inputs["image"].table(3).byte(0) == 2, "an image"
    assert inputs["image"].table(3).table(1).byte(0) == 2, "GRAYSCALE"
    assert inputs["age"].table(3).byte(0) == 1, "a feature"
    [unit] = inputs["image"].tables(4)
    assert (unit.byte(0), unit.table(1).floats(0), unit.table(1).floats(1)) == (1, [0], [1]), "a NormalizationOptions"
    [output] = graph.tables(3)
    [labels] = output.tables(6)
    assert (output.text(0), labels.text(0), labels.byte(2)) == ("predictions", LABELS, 2)
    assert card.output.scale is not None
    assert output.table(5).floats(0) == pytest.approx([255 * card.output.scale])


def test_as_many_names_are_needed_as_there_are_classes(plain: bytes) -> None:
    with pytest.raises(InputError, match="class_names has 2 names, expected 3"):
        described(plain, About("multiclass", "fruit", ["apple", "plum"]))


def test_file_without_a_card_is_refused(plain: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.tflite").write_bytes(plain)
    for other in (plain, tmp_path / "other.tflite", tmp_path / "absent.tflite"):
        with pytest.raises(InputError, match=r"has no slipway.json that says how to call it"):
            Card.of(other)


def test_int4_file_does_not_claim_the_float_models_runtime_version(saved_model: str) -> None:
    """ai-edge-quantizer leaves the entry of the float file, and int4 weights are much younger."""
    floats = convert.to_float(saved_model)
    versions: list[Any] = [Card.of(described(m, _ABOUT)).min_runtime_version for m in (floats, convert.to_int4(floats))]
    assert versions[0] is not None
    assert versions[1] is None
