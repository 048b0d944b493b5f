"""Claims about what converts, and what is said of a model that does not."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lineage.outcome import InputError
from tests.components.quantizer.quantized import KEYS, ROWS, dtypes, inputs, quantize, tried
from tests.components.small_data import LABEL, fixed, several


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
    quantized = quantize(tmp_path, data, task="multiclass", max_drop=0.1, max_slice_drop=None)
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


class Subclassed(keras.Model):
    """Takes the features by name; the residual keeps its layers from being a plain stack."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Dense(8, activation="relu")
        self.answers = layers.Dense(3, activation="softmax")

    def call(self, inputs: Any) -> Any:
        x = inputs["x"] if isinstance(inputs, dict) else inputs
        return self.answers(self.hidden(x) + x)


def transformer() -> keras.Model:
    """Attention over the eight features as steps, and a feed-forward part, each with a residual and LayerNorm."""
    x = keras.Input([8], name="x")
    steps = layers.Dense(16)(layers.Reshape([8, 1])(x))
    steps = layers.LayerNormalization()(steps + layers.MultiHeadAttention(2, 8)(steps, steps))
    steps = layers.LayerNormalization()(steps + layers.Dense(16)(layers.Dense(32, activation="gelu")(steps)))
    return keras.Model(x, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(steps)))


def with_layer(layer: Any) -> keras.Model:
    x = keras.Input([8], name="x")
    return keras.Model(x, layers.Dense(3, activation="softmax")(layer(x)))


def test_subclassed_model_converts(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    [found] = tried(tmp_path, Subclassed(), max_drop=0.05)
    assert found.blessed and found.model is not None
    assert dtypes(found.model) <= {np.uint8, np.int8, np.int32}


def test_transformer_block_is_refused_in_int8_by_the_name_of_its_operation_and_taken_in_dynamic(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    refused, taken = tried(tmp_path, transformer(), mode="auto")
    assert "2 operations stay float: NEG (no integer kernel)" in refused.reasons
    assert (taken.recipe, taken.blessed) == ("dynamic", True)


def test_recurrent_layer_converts_unrolled_and_is_else_refused_with_that_advice(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    steps = layers.Reshape([4, 2])
    with pytest.raises(InputError, match=r"TensorListReserve.*Give the recurrent layer unroll=True"):
        tried(tmp_path / "rolled", with_layer(lambda x: layers.LSTM(8)(steps(x))))
    [found] = tried(tmp_path / "unrolled", with_layer(lambda x: layers.LSTM(8, unroll=True)(steps(x))), max_drop=0.1)
    assert found.found is not None and found.found.value > 0.9


def test_operation_that_tflite_lacks_is_named(tmp_path: Path) -> None:
    built = with_layer(layers.Lambda(lambda x: tf.linalg.inv(tf.linalg.diag(x * x + 1.0))[:, 0]))
    with pytest.raises(InputError, match=r"TFLite has no .*MatrixInverse.*Flex.* cannot be run here"):
        tried(tmp_path, built, mode="auto")


def test_file_that_the_converter_spoilt_is_refused_and_not_compared(tmp_path: Path) -> None:
    """Of lgamma with any batch the converter makes a graph for a batch of none."""
    with pytest.raises(InputError, match=r"The TFLite model (cannot run|gave 0 answers)"):
        tried(tmp_path, with_layer(layers.Lambda(lambda x: tf.math.lgamma(x * x + 2.0))), mode="float16")
