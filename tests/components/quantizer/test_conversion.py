"""Claims about what converts, and what is said of a model that does not."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from lineage.outcome import InputError
from tests.components.quantizer.quantized import KEYS, ROWS, inputs, quantize
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
