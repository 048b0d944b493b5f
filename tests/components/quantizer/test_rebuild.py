"""Claims about what quantization-aware training trains: the model, in exact arithmetic, and its file, in integers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import custom_ops
from components.quantizer import convert, graph
from components.quantizer.int4 import with_int4_kernels
from components.quantizer.interpreter import TFLite
from components.quantizer.qat.layers import FakeQuant, RoundedKernel
from components.quantizer.qat.rebuild import Rounding, bake, calibrate, fold, rebuild
from components.quantizer.representative import Representative
from components.trainer.export import export_transformed
from components.trainer.precision import policy
from lineage.outcome import InputError
from tests.components.quantizer.quantized import dtypes

INPUTS = {"image": tf.TensorSpec([None, 12, 12, 3], tf.float32, name="image")}
IMAGES = np.random.default_rng(0).uniform(0, 255, (200, 12, 12, 3)).astype(np.float32)


def network() -> keras.Model:
    """Every layer with a kernel, residuals, and each place where a BatchNormalization can be folded."""
    keras.utils.set_random_seed(0)
    image = keras.Input([12, 12, 3], name="image")
    x = layers.RandomTranslation(0.1, 0.1)(layers.Rescaling(1 / 127.5, offset=-1.0)(image))
    x = layers.ReLU(6)(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(x)))
    x = layers.BatchNormalization(scale=False)(layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x))
    x = layers.BatchNormalization(center=False)(layers.Conv2D(16, 1)(layers.Activation("relu")(x)))
    shared = layers.Conv2D(16, 3, padding="same", activation="relu")
    x = layers.ReLU()(layers.Add()([x, shared(shared(x))]))
    x = layers.MaxPooling2D()(layers.BatchNormalization()(layers.SeparableConv2D(12, 3, padding="same")(x)))
    x = layers.Dropout(0.5)(layers.Flatten()(layers.Concatenate()([x, keras.ops.maximum(x, 0.5) * 2.0])))
    x = layers.Activation("tanh")(layers.BatchNormalization()(layers.Dense(24)(x)))
    return keras.Model(image, layers.Dense(5)(custom_ops.FusedDense(16, activation="relu")(x)))


def with_statistics(model: keras.Model) -> keras.Model:
    """Gamma, beta and moving statistics away from where they begin."""
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, weights.shape) for weights in layer.get_weights()])
    return model


def shown(brightness: float = 1.0) -> Representative:
    return lambda: ({"image": brightness * IMAGES[row : row + 1]} for row in range(50))


def rounding(model: keras.Model, bits: int) -> tuple[keras.Model, keras.Model]:
    """The model with ranges, rounding, and what is converted of it."""
    aware = rebuild(model, INPUTS, Rounding(bits, activations=True))
    fold(model, INPUTS, aware)
    calibrate(aware, shown())
    plain = rebuild(model, INPUTS, Rounding(None, activations=True))
    bake(aware, bits, plain)
    return aware, plain


def int8(folder: Path, plain: keras.Model, examples: Representative, io_type: str = "uint8") -> bytes:
    export_transformed(plain, str(folder), INPUTS)
    return convert.to_int8(str(folder), examples, io_type)


def test_folded_model_is_the_original_in_exact_arithmetic() -> None:
    with policy("float64"):
        original = with_statistics(network())
        folded = rebuild(original, INPUTS, Rounding(None, activations=False))
    fold(original, INPUTS, folded)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in folded.layers)
    np.testing.assert_allclose(answers(folded), answers(original), rtol=0, atol=1e-12 * np.abs(answers(original)).max())


@pytest.fixture(scope="module")
def aware() -> tuple[keras.Model, keras.Model]:
    return rounding(with_statistics(network()), 8)


def test_baked_kernels_answer_as_those_that_are_rounded(aware: tuple[keras.Model, keras.Model]) -> None:
    trained, plain = aware
    np.testing.assert_allclose(answers(trained), answers(plain), atol=1e-5)


@pytest.mark.parametrize("io_type", ["uint8", "float32"])
def test_file_computes_in_integers_what_was_trained(
    io_type: str, aware: tuple[keras.Model, keras.Model], tmp_path: Path
) -> None:
    """Off by less than what rounding costs: if its seventeen ranges rounded at random, by 1.3 steps of the last one.

    (The root of the mean square, by the gradients of the answers at each of the ranges. There is no useful bound for
    one number: a step at a range is multiplied by the layers behind it, all of them at their worst make 150.)
    """
    trained, plain = aware
    made = int8(tmp_path, plain, shown(), io_type)
    assert graph.float_ops(graph.read(made)) == [] == graph.not_merged(graph.read(made))
    assert (np.float32 in dtypes(made)) == (io_type == "float32")
    file, expected = TFLite(made).predict({"image": IMAGES}), answers(trained)
    assert np.sqrt(np.mean(steps_apart(trained, file, expected) ** 2)) < 1
    np.testing.assert_array_equal(np.argmax(file, axis=1), np.argmax(expected, axis=1))


def test_file_of_kernels_rounded_to_4_bits_has_them_packed_and_computes_what_was_trained(tmp_path: Path) -> None:
    trained, plain = rounding(with_statistics(network()), 4)
    unpacked = int8(tmp_path, plain, shown())
    made = with_int4_kernels(unpacked)
    kernels = sum(np.prod(layer.get_weights()[0].shape) for layer in trained.layers if isinstance(layer, RoundedKernel))
    assert len(unpacked) - len(made) == pytest.approx(kernels / 2, rel=0.05), "half a byte a weight"
    file, expected = TFLite(made).predict({"image": IMAGES}), answers(trained)
    assert np.sqrt(np.mean(steps_apart(trained, file, expected) ** 2)) < 1
    np.testing.assert_array_equal(np.argmax(file, axis=1), np.argmax(expected, axis=1))


def one_convolution(options: dict[str, Any]) -> Any:
    return layers.Conv2D(8, 3, padding="same", **options)


BRANCHES: dict[str, Callable[[Any], Any]] = {
    "concatenated": lambda x: layers.Concatenate()(
        [one_convolution({"activation": "relu"})(x), layers.MaxPooling2D(1)(one_convolution({})(x))]
    ),
    "dilated": lambda x: layers.ReLU()(layers.BatchNormalization()(one_convolution({"dilation_rate": 2})(x))),
    "swish": lambda x: layers.AveragePooling2D(2)(one_convolution({"activation": "silu"})(x)),
}


@pytest.mark.parametrize("branch", BRANCHES)
def test_file_is_at_most_one_step_off_where_its_graph_is_another(branch: str, tmp_path: Path) -> None:
    """Ranges of representative examples a tenth as bright would clip nearly all: those that were trained are taken."""
    keras.utils.set_random_seed(0)
    image = keras.Input([12, 12, 3], name="image")
    trained, plain = rounding(keras.Model(image, BRANCHES[branch](layers.Rescaling(1 / 255)(image))), 8)
    file = TFLite(int8(tmp_path, plain, shown(0.1))).predict({"image": IMAGES})
    assert steps_apart(trained, file, answers(trained)).max() <= 1


def answers(model: keras.Model) -> np.ndarray:
    return np.asarray(model(IMAGES, training=False))


def steps_apart(trained: keras.Model, file: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How far the answers are from each other, in whole steps of the last range."""
    least, greatest = next(layer for layer in reversed(trained.layers) if isinstance(layer, FakeQuant)).bounds()
    return np.rint(np.abs(file - expected) / float(greatest - least) * 255)


class Subclassed(keras.Model):
    """Its layers are its own secret."""

    def call(self, inputs: Any) -> Any:
        return inputs


def with_layer(make: Callable[[Any], Any]) -> keras.Model:
    image = keras.Input([12, 12, 3], name="image")
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(make(image))))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclassed, r"subclassed \(Subclassed\) is a subclass of keras.Model.*Write build_model with"),
        (lambda: with_layer(layers.PReLU(name="bent")), r"the layer bent \(PReLU\) are rounded, only those of Conv1D,"),
        (lambda: with_layer(layers.BatchNormalization(name="first")), "The BatchNormalization first cannot be folded"),
        (
            lambda: with_layer(keras.Sequential([layers.Conv2D(4, 3)], name="base")),
            "The layer base is a model of its own",
        ),
    ],
)
def test_model_that_cannot_be_rounded_is_refused_by_the_name_of_its_layer(
    make: Callable[[], keras.Model], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        rebuild(make(), INPUTS, Rounding(8, activations=True))
