"""Claims about the Quantizer, run against real MLMD on models with known weights.

Expected numbers come from the SavedModel in TensorFlow and from NumPy on the answers of the LiteRT interpreter.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from components.artifacts import LABEL_NAMES
from components.quantizer.card import Card
from components.quantizer.convert import to_float
from tests.components import small_data
from tests.components.quantizer.quantized import KEYS, ROWS, Quantized, X, classifier, dtypes, inputs, points, quantize
from tests.components.small_data import LABEL, fixed
from tests.tfx_harness import Given


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
    plain = len(to_float(quantized.saved_model))
    assert plain < quantized.record.float_bytes < plain + 2500, "with what it says of itself"
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
    assert record.reasons[:2] == [
        "the quantized model says the same about every example (0.25, 0.25, 0.25, ...), the float model does not",
        f"accuracy is worse than the float model's by {record.drop:.4f}, at most 0.02 is allowed",
    ]
    assert all("label:" in reason for reason in record.reasons[2:]), "and the classes that it never says"
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
    data["examples"].custom_properties[LABEL_NAMES] = '["rare", "even", "often"]'
    quantized = quantize(tmp_path, data, task="multilabel", weight="w", max_drop=0.05)
    card = Card.of(quantized.tflite)
    assert (card.task, card.label, card.class_names) == ("multilabel", LABEL, ["rare", "even", "often"])
    shown, record = quantized.predictions(**features) > 0.5, quantized.record
    assert (record.metric, record.weighted) == ("accuracy", True)
    assert record.float_value == pytest.approx(np.average((answers == labels).mean(axis=1), weights=rows["w"]))
    assert record.value == pytest.approx(np.average((shown == labels).mean(axis=1), weights=rows["w"]))
    assert 0.75 < record.float_value < 0.82
    assert record.agreement == pytest.approx(np.mean(shown == answers))
    assert quantized.blessed


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
