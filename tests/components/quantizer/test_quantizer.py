"""Claims about the Quantizer, run against real MLMD on models with known weights.

Expected numbers come from the SavedModel in TensorFlow and from NumPy on the answers of the LiteRT interpreter.
"""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from components.dataset import Split
from components.quantizer.compare import compare
from components.quantizer.component import Quantizer
from components.quantizer.convert import to_float
from components.quantizer.interpreter import TFLite
from lineage.outcome import InputError
from lineage.records import QuantizationRecord
from tests.components import small_data
from tests.components.dataset.columns import on_disk
from tests.components.small_data import LABEL, fixed, several
from tests.tfx_harness import Given, run_component

ROWS = 300
X = fixed("x", "FLOAT", 8)
KEYS = fixed(LABEL, "INT", 1)


@dataclasses.dataclass(frozen=True)
class Quantized:
    """What one run of the Quantizer left behind, and the SavedModel that it was given."""

    record: QuantizationRecord
    blessed: bool
    tflite: bytes
    saved_model: str

    def float_predictions(self, **features: np.ndarray) -> np.ndarray:
        """The SavedModel's answers, by TensorFlow."""
        signature = tf.saved_model.load(self.saved_model).signatures["transformed"]
        return signature(**{name: tf.constant(column) for name, column in features.items()})["predictions"].numpy()

    def predictions(self, **features: np.ndarray) -> np.ndarray:
        """The answers of the quantized model, row by row; the arithmetic of the affine code is written out here."""
        runner = Interpreter(model_content=self.tflite).get_signature_runner()
        details = runner.get_input_details()
        [(name, output)] = runner.get_output_details().items()
        scale, zero = output["quantization"]
        rows = zip(*features.values(), strict=True)
        answers = [
            runner(**{n: _coded(v, details[n]) for n, v in zip(features, row, strict=True)})[name] for row in rows
        ]
        return (np.concatenate(answers).astype(np.float32) - zero) * scale


def _coded(value: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    if value.dtype.kind == "i":
        return value[None]
    return np.clip(np.rint(value[None] / scale) + zero, 0, 255).astype(np.uint8)


def inputs(
    root: Path, built: keras.Model, rows: small_data.Columns, *features: str, schema: tuple[str, ...] = ()
) -> dict[str, Given]:
    """Exports `built` and writes the rows, the same for each split; `schema` where it has more than the model takes."""
    return {
        "model": small_data.model(root / "model", built, *features),
        "examples": small_data.examples(root / "examples", {"train": rows, "eval": rows, "test": rows}),
        "schema": small_data.schema(root / "schema", *(schema or features)),
    }


def quantize(root: Path, data: dict[str, Given], **settings: Any) -> Quantized:
    ran = run_component(root, lambda **channels: Quantizer(label=LABEL, **channels, **settings), data)
    record = QuantizationRecord.load(ran.uri("metrics"))
    assert record is not None
    [blessing] = ran.outputs["blessing"]
    blessed = blessing.properties["blessed"].int_value
    assert blessed in (0, 1)
    assert Path(blessing.uri, "BLESSED").exists() == bool(blessed)
    tflite = Path(ran.uri("tflite_model"), "model.tflite").read_bytes()
    return Quantized(record, bool(blessed), tflite, str(Path(data["model"].uri, "Format-Serving")))


def dtypes(model: bytes) -> set[type]:
    interpreter = Interpreter(model_content=model)
    return {tensor["dtype"] for tensor in interpreter.get_tensor_details()}


def classifier(inputs: int, units: int, outputs: int, activation: str) -> keras.Model:
    keras.utils.set_random_seed(1)
    hidden, answers = layers.Dense(units, activation="relu"), layers.Dense(outputs, activation=activation)
    return keras.Sequential([keras.Input([inputs]), hidden, answers])


def points(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> tuple[Quantized, small_data.Columns, dict[str, Given]]:
    """A random network whose answers are the labels of nine in ten rows, so that its accuracy is about 0.9."""
    root = tmp_path_factory.mktemp("multiclass")
    built = classifier(8, 32, 5, "softmax")
    x, random = points(0), np.random.default_rng(1)
    answers = np.argmax(built(x), axis=1)
    labels = np.where(random.random(ROWS) < 0.9, answers, (answers + 1) % 5)
    rows = {"x": x, LABEL: labels}
    data = inputs(root, built, rows, X, KEYS)
    return quantize(root, data, task="multiclass", max_drop=0.05), rows, data


def test_float_value_is_the_accuracy_of_the_saved_model(multiclass: tuple[Quantized, small_data.Columns, Any]) -> None:
    quantized, rows, _ = multiclass
    answers = np.argmax(quantized.float_predictions(x=rows["x"]), axis=1)
    assert quantized.record.metric == "accuracy"
    assert quantized.record.float_value == pytest.approx(np.mean(answers == rows[LABEL]))
    assert 0.85 < quantized.record.float_value < 0.95


def test_value_drop_and_agreement_are_those_of_the_two_models_answers(
    multiclass: tuple[Quantized, small_data.Columns, Any],
) -> None:
    quantized, rows, _ = multiclass
    record = quantized.record
    float_answers = np.argmax(quantized.float_predictions(x=rows["x"]), axis=1)
    answers = np.argmax(quantized.predictions(x=rows["x"]), axis=1)
    assert record.value == pytest.approx(np.mean(answers == rows[LABEL]))
    assert record.drop == pytest.approx(np.mean(float_answers == rows[LABEL]) - np.mean(answers == rows[LABEL]))
    assert record.agreement == pytest.approx(np.mean(answers == float_answers))
    assert 0.9 < record.agreement < 1, "rounding changes some answers of a random network, not many"
    assert record.examples == ROWS
    assert (record.mode, record.blessed, quantized.blessed, record.reasons) == ("int8", True, True, [])


def test_model_takes_and_gives_uint8_and_is_integer_throughout(multiclass: tuple[Quantized, Any, Any]) -> None:
    interpreter = Interpreter(model_content=multiclass[0].tflite)
    assert [detail["dtype"] for detail in interpreter.get_input_details()] == [np.uint8]
    assert [detail["dtype"] for detail in interpreter.get_output_details()] == [np.uint8]
    assert dtypes(multiclass[0].tflite) <= {np.uint8, np.int8, np.int32}
    assert np.float32 in dtypes(to_float(multiclass[0].saved_model)), "the check can fail"


def test_sizes_are_those_of_the_two_files(multiclass: tuple[Quantized, Any, Any]) -> None:
    quantized = multiclass[0]
    assert quantized.record.bytes == len(quantized.tflite)
    assert quantized.record.float_bytes == len(to_float(quantized.saved_model))
    assert quantized.tflite[4:8] == b"TFL3"


def test_same_inputs_give_the_same_file_byte_for_byte(
    multiclass: tuple[Quantized, small_data.Columns, dict[str, Given]], tmp_path: Path
) -> None:
    quantized, _, data = multiclass
    assert quantize(tmp_path, data, task="multiclass", max_drop=0.05).tflite == quantized.tflite


def test_model_whose_channels_differ_a_thousandfold_in_range_is_refused_and_kept(tmp_path: Path) -> None:
    """The activations share one scale, so that the small channels, which decide, are rounded to nothing.

    The eight channels of the hidden layer are x * [1000 x 4, 1 x 4]; the answer is the largest of the four small ones.
    In steps of about 4000 / 255 = 16 these, below 4, are all zero.
    """
    hidden = layers.Dense(8, activation="relu", use_bias=False)
    answers = layers.Dense(4, activation="softmax", use_bias=False)
    built = keras.Sequential([keras.Input([8]), hidden, answers])
    hidden.set_weights([np.diag([1000.0] * 4 + [1.0] * 4)])
    answers.set_weights([np.concatenate([np.zeros((4, 4)), 5 * np.eye(4)])])
    x = np.abs(points(2))
    rows = {"x": x, LABEL: np.argmax(x[:, 4:], axis=1)}

    quantized = quantize(tmp_path, inputs(tmp_path, built, rows, X, KEYS), task="multiclass", max_drop=0.02)
    record = quantized.record
    assert record.float_value == 1
    assert record.value < 0.5
    assert (record.blessed, quantized.blessed) == (False, False)
    assert record.reasons == [
        f"accuracy is worse than the float model's by {record.drop:.4f}, at most 0.02 is allowed",
    ]
    assert dtypes(quantized.tflite) <= {np.uint8, np.int8, np.int32}, "a refused model can be looked at"


def test_regression_compares_the_mean_absolute_error_of_which_less_is_better(tmp_path: Path) -> None:
    x = points(3)
    weights = np.linspace(-1, 1, 8)
    labels = (x @ weights + 5).astype(np.float32)
    dense = layers.Dense(1)
    built = keras.Sequential([keras.Input([8]), dense])
    dense.set_weights([weights[:, None], np.array([5.0])])  # the labels' own: the float model is exact

    data = inputs(tmp_path, built, {"x": x, LABEL: labels}, X, fixed(LABEL, "FLOAT", 1))
    quantized = quantize(tmp_path, data, task="regression", max_drop=0.001)
    record = quantized.record
    error = np.mean(np.abs(quantized.predictions(x=x)[:, 0] - labels))
    assert (record.metric, record.agreement) == ("mean_absolute_error", None)
    assert record.float_value == pytest.approx(0, abs=1e-5)
    assert record.value == pytest.approx(error, rel=1e-4)
    naive = np.mean(np.abs(labels - np.median(labels)))
    assert record.drop == pytest.approx(error / naive, abs=1e-5)
    assert record.drop > 0.001
    assert (record.blessed, quantized.blessed) == (False, False)
    assert record.reasons == [
        f"mean_absolute_error is worse than the float model's by {record.drop:.4f} of what always predicting the "
        "median costs, at most 0.001 is allowed"
    ]


class Subclassed(keras.Model):
    """Two inputs by name, and a probability for each of three labels."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Dense(16, activation="relu")
        self.answers = layers.Dense(3, activation="sigmoid")

    def call(self, inputs: dict[str, Any]) -> Any:
        joined = keras.ops.concatenate([inputs["x"], keras.ops.cast(inputs["n"], "float32") / 5.0], axis=-1)
        return self.answers(self.hidden(joined))


def test_subclassed_multilabel_model_is_compared_by_the_weighted_mean_over_its_labels(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    built, random = Subclassed(), np.random.default_rng(9)
    features = {"x": points(9), "n": random.integers(0, 5, ROWS)[:, None]}
    answers = np.asarray(built({name: tf.constant(column) for name, column in features.items()})) > 0.5
    labels = np.where(random.random((ROWS, 3)) < [0.6, 0.8, 0.95], answers, ~answers).astype(int)
    rows = features | {"w": random.integers(0, 4, ROWS).astype(np.float32), LABEL: labels}

    schema = (X, fixed("n", "INT", 1), fixed("w", "FLOAT", 1), fixed(LABEL, "INT", 3))
    data = inputs(tmp_path, built, rows, X, fixed("n", "INT", 1), fixed(LABEL, "INT", 3), schema=schema)
    quantized = quantize(tmp_path, data, task="multilabel", weight="w", max_drop=0.05)
    shown, record = quantized.predictions(**features) > 0.5, quantized.record
    assert (record.metric, record.weighted) == ("accuracy", True)
    assert record.float_value == pytest.approx(np.average((answers == labels).mean(axis=1), weights=rows["w"]))
    assert record.value == pytest.approx(np.average((shown == labels).mean(axis=1), weights=rows["w"]))
    assert 0.75 < record.float_value < 0.82
    assert record.agreement == pytest.approx(np.mean(shown == answers))
    assert quantized.blessed


def test_weights_count_in_the_error_of_a_regression_and_in_that_of_the_median(tmp_path: Path) -> None:
    dense = layers.Dense(1)
    built = keras.Sequential([keras.Input([8]), dense])
    float_model = small_data.model(tmp_path / "float", built, X)
    dense.set_weights([weights + 0.1 for weights in dense.get_weights()])  # in place of a quantized one, and worse
    worse = small_data.model(tmp_path / "worse", built, X)
    models = [TFLite(to_float(str(Path(model.uri, "Format-Serving")))) for model in (float_model, worse)]
    x, random = points(10), np.random.default_rng(10)
    errors = random.normal(size=ROWS).astype(np.float32)
    counts = random.integers(0, 4, ROWS)

    labels = models[0].predict({"x": x})[:, 0] + errors
    weighted = Split("test", {"x": tf.constant(x)}, tf.constant(labels), tf.constant(counts, tf.float32))
    often = np.repeat(np.arange(ROWS), counts)  # a row that weighs 3 is there three times
    repeated = Split("test", {"x": tf.constant(x[often])}, tf.constant(labels[often]))
    one, other = (compare(*models, split, task="regression", mode="int8", max_drop=1) for split in (weighted, repeated))
    assert one.float_value == pytest.approx(np.average(np.abs(errors), weights=counts), rel=1e-5)
    assert (one.value, one.drop) == pytest.approx((other.value, other.drop), rel=1e-5)
    assert one.drop > 0.01


def test_binary_model_is_compared_at_one_half(tmp_path: Path) -> None:
    built = classifier(8, 16, 1, "sigmoid")
    x = points(4)
    answers = np.asarray(built(x))[:, 0] > 0.5
    labels = np.where(np.random.default_rng(5).random(ROWS) < 0.8, answers, ~answers).astype(int)

    data = inputs(tmp_path, built, {"x": x, LABEL: labels}, X, KEYS)
    quantized = quantize(tmp_path, data, task="binary", max_drop=0.05)
    shown = quantized.predictions(x=x)[:, 0] > 0.5
    assert 0.2 < np.mean(answers) < 0.8
    assert quantized.record.float_value == pytest.approx(np.mean(answers == labels))
    assert quantized.record.value == pytest.approx(np.mean(shown == labels))
    assert quantized.record.agreement == pytest.approx(np.mean(shown == answers))
    assert quantized.blessed


def test_integer_inputs_pass_through_as_they_are(tmp_path: Path) -> None:
    """Embedding indices: their values are the data, and no scale may touch them."""
    keras.utils.set_random_seed(0)
    x, word = keras.Input([8], name="x"), keras.Input([1], name="word", dtype="int64")
    joined = layers.Concatenate()(
        [x, layers.Flatten()(layers.Embedding(1000, 4, embeddings_initializer="normal")(word))]
    )
    built = keras.Model({"x": x, "word": word}, layers.Dense(3, activation="softmax")(joined))
    rows = {"x": points(6), "word": np.random.default_rng(7).integers(0, 1000, ROWS)[:, None]}
    labels = np.argmax(built({name: tf.constant(column) for name, column in rows.items()}), axis=1)

    data = inputs(tmp_path, built, rows | {LABEL: labels}, X, fixed("word", "INT", 1), KEYS)
    quantized = quantize(tmp_path, data, task="multiclass", max_drop=0.05)
    details = Interpreter(model_content=quantized.tflite).get_signature_runner().get_input_details()
    assert {name: detail["dtype"] for name, detail in details.items()} == {"x": np.uint8, "word": np.int64}
    assert quantized.record.float_value == 1
    assert quantized.record.value == pytest.approx(np.mean(np.argmax(quantized.predictions(**rows), axis=1) == labels))
    assert quantized.record.value > 0.95
    assert quantized.blessed


def test_model_that_is_not_integer_throughout_or_not_finite_is_refused_whatever_its_accuracy(tmp_path: Path) -> None:
    dense = layers.Dense(1)
    built = keras.Sequential([keras.Input([8]), dense])
    small_data.model(tmp_path / "good", built, X)
    dense.set_weights([np.full((8, 1), np.nan), np.zeros(1)])
    small_data.model(tmp_path / "bad", built, X)
    good, bad = (TFLite(to_float(str(tmp_path / name / "Format-Serving"))) for name in ("good", "bad"))
    split = Split("test", {"x": tf.constant(points(8))}, tf.zeros([ROWS], tf.int64))

    same = compare(good, good, split, task="binary", mode="int8", max_drop=1)
    assert (same.drop, same.blessed) == (0, False)
    assert same.reasons == ["1 operations stay float: FULLY_CONNECTED"]
    broken = compare(good, bad, split, task="binary", mode="int8", max_drop=1)
    assert "some predictions of the quantized model are not finite" in broken.reasons


def test_whole_numbers_as_inputs_are_brought_to_scale_and_quantized(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    x, age = keras.Input([8], name="x"), keras.Input([1], name="age", dtype="int64")
    joined = layers.Concatenate()([x, layers.Rescaling(1 / 80, -0.5)(age)])
    built = keras.Model({"x": x, "age": age}, layers.Dense(3, activation="softmax")(layers.Dense(16, "relu")(joined)))
    rows = {"x": points(6), "age": np.random.default_rng(7).integers(18, 80, ROWS)[:, None]}
    labels = np.argmax(built({name: tf.constant(column) for name, column in rows.items()}), axis=1)
    data = inputs(tmp_path, built, rows | {LABEL: labels}, X, fixed("age", "INT", 1), KEYS)
    quantized = quantize(tmp_path, data, task="multiclass", max_drop=0.05)
    assert quantized.record.reasons == []
    assert quantized.blessed


def test_comparison_with_a_split_on_disk_is_that_with_one_in_memory(
    tmp_path: Path, multiclass: tuple[Quantized, small_data.Columns, Any]
) -> None:
    quantized, rows, _ = multiclass
    split = Split("test", {"x": tf.constant(rows["x"])}, tf.constant(rows[LABEL]))
    models = TFLite(to_float(quantized.saved_model)), TFLite(quantized.tflite)
    disk = on_disk(split, tmp_path / "test", block_rows=17, memory=1)
    settings = {"task": "multiclass", "mode": "int8", "max_drop": 0.05}
    assert compare(*models, disk, **settings) == compare(*models, split, **settings) == quantized.record


def lists_of_numbers(layer: layers.Layer) -> keras.Model:
    """Takes any number of numbers in 1 ... 9."""
    keras.utils.set_random_seed(0)
    ids = keras.Input([None], name="ids", dtype="int64")
    embedded = layer(layers.Embedding(10, 4, mask_zero=True)(ids))
    return keras.Model(ids, layers.Dense(3, activation="softmax")(embedded))


def ids(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(1, 10, random.integers(1, 6)) for _ in range(ROWS)]


def test_model_of_lists_is_quantized_and_compared_on_lists_of_all_lengths(tmp_path: Path) -> None:
    built = lists_of_numbers(layers.GlobalAveragePooling1D())
    lists = ids(0)
    padded = np.array([[*row, *[0] * 5][:5] for row in lists])
    labels = np.where(np.arange(ROWS) % 10 > 0, np.argmax(built(padded), axis=1), 0)
    data = inputs(tmp_path, built, {"ids": lists, LABEL: labels}, several("ids", "INT"), KEYS)
    quantized = quantize(tmp_path, data, task="multiclass", max_drop=0.1)
    answers = np.argmax(quantized.float_predictions(ids=padded), axis=1)
    assert (
        quantized.record.float_value == pytest.approx(np.mean(answers == labels)) and quantized.record.float_value > 0.8
    )
    assert quantized.record.blessed, quantized.record.reasons


def test_model_that_cannot_be_converted_is_refused_with_the_reason(tmp_path: Path) -> None:
    data = inputs(
        tmp_path, lists_of_numbers(layers.LSTM(4)), {"ids": ids(0), LABEL: [0] * ROWS}, several("ids", "INT"), KEYS
    )
    with pytest.raises(
        InputError, match=r"cannot convert the model: .*TensorListReserve.* number of values of ids; for"
    ):
        quantize(tmp_path, data, task="multiclass")


def test_model_of_text_is_refused_by_the_names_of_its_inputs(tmp_path: Path) -> None:
    word = keras.Input([1], name="word", dtype="string")
    looked_up = layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot")(word)
    built = keras.Model(word, layers.Dense(3, activation="softmax")(looked_up))
    data = inputs(tmp_path, built, {"word": ["a"] * ROWS, LABEL: [0] * ROWS}, fixed("word", "BYTES", 1), KEYS)
    with pytest.raises(InputError, match="The model takes text, word, expected numbers"):
        quantize(tmp_path, data, task="multiclass")
