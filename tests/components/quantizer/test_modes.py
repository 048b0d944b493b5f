"""Claims about the file that each mode makes: near the float model, of the types asked for, the same twice."""

from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from components.quantizer import convert, graph
from components.quantizer.interpreter import TFLite
from components.quantizer.representative import Representative
from tests.components import small_data
from tests.components.quantizer.quantized import dtypes
from tests.components.small_data import fixed

_IMAGES = np.random.default_rng(0).uniform(0, 1, (64, 12, 12, 3)).astype(np.float32)
IMAGE = fixed("image", "FLOAT", 12, 12, 3)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Convolutions with BatchNormalization, ReLU6 and ReLU, the second dilated; large enough for every mode."""
    keras.utils.set_random_seed(0)
    image = x = keras.Input([12, 12, 3], name="image")
    for filters, dilation in ((32, 1), (32, 2)):
        x = layers.Conv2D(filters, 3, use_bias=False, dilation_rate=dilation)(x)
        x = layers.ReLU(6 if dilation == 1 else None)(layers.BatchNormalization()(x))
    built = keras.Model(image, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))
    random = np.random.default_rng(1)
    for layer in built.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 2, weights.shape) for weights in layer.get_weights()])
    return str(Path(small_data.model(tmp_path_factory.mktemp("model"), built, IMAGE).uri, "Format-Serving"))


@pytest.fixture(scope="module")
def float_model(saved_model: str) -> bytes:
    return convert.to_float(saved_model)


def shown() -> Representative:
    return lambda: ({"image": _IMAGES[row : row + 1]} for row in range(len(_IMAGES)))


def make(recipe: str, saved_model: str, float_model: bytes, io_type: str = "uint8") -> bytes:
    if recipe == "int8":
        return convert.to_int8(saved_model, shown(), io_type)
    if recipe == "int4":
        return convert.to_int4(float_model)
    return {"dynamic": convert.to_dynamic, "float16": convert.to_float16}[recipe](saved_model)


@pytest.mark.parametrize(
    ("recipe", "smaller", "near"),
    [("int8", 3, 0.05), ("dynamic", 3, 0.05), ("float16", 1.8, 0.002), ("int4", 4.5, 0.5)],
)
def test_mode_makes_a_smaller_file_that_answers_near_the_float_model_and_the_same_twice(
    recipe: str, smaller: float, near: float, saved_model: str, float_model: bytes
) -> None:
    made = make(recipe, saved_model, float_model)
    assert len(float_model) / len(made) > smaller
    difference = TFLite(made).predict({"image": _IMAGES}) - TFLite(float_model).predict({"image": _IMAGES})
    assert 0 < np.abs(difference).max() < near
    assert make(recipe, saved_model, float_model) == made


def test_large_int4_weights_are_kept(tmp_path: Path) -> None:
    """From 256 KiB of them ai-edge-quantizer puts them behind the flatbuffer; here are 640,000 of half a byte."""
    keras.utils.set_random_seed(0)
    built = keras.Sequential([keras.Input([800]), layers.Dense(800, activation="relu"), layers.Dense(1)])
    given = small_data.model(tmp_path, built, fixed("x", "FLOAT", 800))
    floats = convert.to_float(str(Path(given.uri, "Format-Serving")))
    int4 = convert.to_int4(floats)
    assert 320_000 < len(int4) < 340_000
    x = {"x": np.random.default_rng(0).normal(size=(100, 800)).astype(np.float32)}
    assert np.corrcoef(TFLite(int4).predict(x)[:, 0], TFLite(floats).predict(x)[:, 0])[0, 1] > 0.9


@pytest.mark.parametrize("io_type", ["uint8", "int8", "float32"])
def test_int8_model_takes_and_gives_what_io_says_and_is_integer_between(
    io_type: str, saved_model: str, float_model: bytes
) -> None:
    made = make("int8", saved_model, float_model, io_type)
    interpreter = Interpreter(model_content=made)
    for detail in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        assert detail["dtype"] == np.dtype(io_type)
    assert graph.float_ops(graph.read(made)) == []
    assert (np.float32 in dtypes(made)) == (io_type == "float32")
    assert np.abs(TFLite(made).predict({"image": _IMAGES}).sum(axis=1) - 1).max() < 0.05, "in real units"


def test_float_model_would_be_found_out_by_the_check_for_float_operations(float_model: bytes) -> None:
    named = [op.split(" (")[0] for op in graph.float_ops(graph.read(float_model))]
    assert named.count("CONV_2D") == 2
    assert {"FULLY_CONNECTED", "SOFTMAX"} <= set(named)


def test_normalization_behind_a_dilated_convolution_is_noted_and_the_other_is_merged(float_model: bytes) -> None:
    """The converter moves a dilated convolution between two transpositions, and does not look behind them."""
    [note] = graph.not_merged(graph.read(float_model))
    assert note.startswith("MUL") and note.endswith("is not merged into the CONV_2D before it")


def test_batches_of_any_size_give_the_answers_of_single_examples(saved_model: str, float_model: bytes) -> None:
    model = TFLite(make("int8", saved_model, float_model))
    one_by_one = np.concatenate([model.predict({"image": _IMAGES[row : row + 1]}) for row in range(7)])
    np.testing.assert_array_equal(model.predict({"image": _IMAGES[:7]}), one_by_one)
