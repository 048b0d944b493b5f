"""Claims about quantization-aware training: what it gains over its control, and that it is the Trainer's training."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

from components.dataset import Split
from components.quantizer import convert
from components.quantizer.answers import ask
from components.quantizer.compare import Comparison, Truth, compare
from components.quantizer.int4 import with_int4_kernels
from components.quantizer.interpreter import TFLite
from components.quantizer.qat import fine_tuning
from components.quantizer.qat.fine_tuning import Calibration, FineTuning
from components.quantizer.representative import representative
from components.quantizer.settings import QatSettings
from components.trainer.settings import TrainerSettings
from components.trainer.strategy import make_strategy
from components.trainer.train import train
from components.trainer.training import Training
from lineage.outcome import InputError
from tests.components import small_data
from tests.components.quantizer.uneven import make_uneven
from tests.components.small_data import LABEL, fixed

INPUTS = {"image": tf.TensorSpec([None, 8, 8, 1], tf.float32, name="image")}
IMAGE = fixed("image", "FLOAT", 8, 8, 1)
EPOCHS = 12


def digits(name: str, rows: slice) -> Split:
    """Real handwritten digits, 8x8, in 0..16; those to be tested on were written by others than those trained on."""
    data = load_digits()
    images = data.images[rows, :, :, None].astype(np.float32)
    return Split(name, {"image": tf.constant(images)}, tf.constant(data.target[rows].astype(np.int64)))


TRAIN, VALIDATION, TEST = (
    digits("train", slice(1000)),
    digits("eval", slice(1000, 1200)),
    digits("test", slice(1200, None)),
)


def network(inputs: Any, hp: Any) -> keras.Model:
    """A depthwise separable convolution, as a MobileNet has them."""
    image = keras.Input([8, 8, 1], name="image")
    x = normalized(layers.Conv2D(8, 3, padding="same", use_bias=False)(layers.Rescaling(1 / 16)(image)))
    x = normalized(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
    x = normalized(layers.Conv2D(24, 1, use_bias=False)(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def normalized(x: Any) -> Any:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def optimizer(hp: Any) -> keras.Optimizer:
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, EPOCHS * 1000 // 50))


def training(build: Callable[..., keras.Model] = network, **settings: Any) -> Training:
    chosen = TrainerSettings(**{"epochs": EPOCHS, "batch_size": 50, "strategy": "one_device"} | settings)
    module: Any = SimpleNamespace(build_model=build, optimizer=optimizer)
    return Training(module, INPUTS, "multiclass", chosen, TRAIN, VALIDATION)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> keras.Model:
    folder = tmp_path_factory.mktemp("trained")
    given = training()
    return train(given, make_strategy(given.settings), folder / "checkpoints", str(folder))[0]


@pytest.fixture(scope="module")
def even(trained: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("even"), trained)


@pytest.fixture(scope="module")
def uneven(trained: keras.Model, even: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With channels whose ranges differ a hundredfold, and the same answers."""
    before = trained(TEST.features["image"], training=False)
    make_uneven(trained, 100)
    np.testing.assert_allclose(trained(TEST.features["image"], training=False), before, atol=1e-5)
    return saved(tmp_path_factory.mktemp("uneven"), trained)


def saved(folder: Path, model: keras.Model) -> Path:
    return Path(small_data.model(folder, model, IMAGE).uri, "Format-Serving")


def tuning(folder: Path, weights: Path, given: Training | None = None, **settings: Any) -> FineTuning:
    return FineTuning(
        training=given or training(),
        weights=weights,
        settings=QatSettings(**settings),
        calibration=Calibration(examples=100, seed=0),
        folder=folder,
    )


def file(folder: Path, model: keras.Model, bits: int) -> bytes:
    made = convert.to_int8(str(saved(folder, model)), representative(TRAIN, 100, 0))
    return made if bits == 8 else with_int4_kernels(made)


@dataclasses.dataclass(frozen=True)
class Found:
    """How much worse the control is than what was trained quantization-aware, both as files of integers; and the share
    of examples to which the latter's file gives the class that the model in training gives.
    """

    gain: Comparison
    agreement: float


def find(folder: Path, weights: Path, bits: int) -> Found:
    tuned = tuning(folder / "tuned", weights, epochs=3)
    models = [tuned.model(bits, aware=aware) for aware in (True, False)]
    files = [file(folder / str(number), model, bits) for number, model in enumerate(models)]
    aware, control = (ask(TFLite(made), TEST, "multiclass") for made in files)
    said = np.argmax(models[0](TEST.features["image"], training=False), axis=1)
    return Found(
        gain=compare(Truth.of(TEST, task="multiclass", label=LABEL), aware, control),
        agreement=float(np.mean(said == aware.said)),
    )


def test_eight_bits_gain_where_ranges_of_channels_differ(uneven: Path, tmp_path: Path) -> None:
    found = find(tmp_path, uneven, 8)
    assert found.gain.drop > 0.015 and found.gain.drop_interval[0] > 0, found.gain.drop
    assert found.agreement > 0.998, "without biases rounded in training, one to ten of the 597 are another class"


def test_four_bits_gain_on_an_ordinary_model(even: Path, tmp_path: Path) -> None:
    found = find(tmp_path, even, 4)
    assert found.gain.drop > 0.01 and found.gain.drop_interval[0] > 0, found.gain.drop
    assert found.agreement > 0.98, "LiteRT's kernels for 4 bits round twice"


def small(inputs: Any, hp: Any) -> keras.Model:
    image = keras.Input([8, 8, 1], name="image")
    x = layers.Flatten()(normalized(layers.Conv2D(4, 3, strides=2, use_bias=False)(image)))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    return saved(tmp_path_factory.mktemp("untrained"), small(INPUTS, {}))


def four_steps(folder: Path, weights: Path, accumulate: int = 1) -> np.ndarray:
    """All weights after an epoch, each tensor's in shares of its greatest."""
    given = dataclasses.replace(
        training(small, batch_size=48, accumulate=accumulate), train=digits("train", slice(190))
    )
    tuned = tuning(folder, weights, given, epochs=1).model(8, aware=True).get_weights()
    return np.concatenate([np.ravel(one) / max(np.abs(one).max(), 1e-6) for one in tuned])


def test_fine_tuning_is_the_same_in_micro_batches_and_not_done_again_when_done(
    untrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In micro-batches sums are rounded in another order, and so may be a kernel: a step of 8 bits is 1/127 of it."""
    whole, again, parts = (
        four_steps(tmp_path / name, untrained, accumulate)
        for name, accumulate in (("whole", 1), ("again", 1), ("parts", 4))
    )
    np.testing.assert_array_equal(whole, again)
    np.testing.assert_allclose(whole, parts, rtol=0, atol=0.03)
    assert np.mean(np.abs(whole - parts) > 1e-4) < 0.01
    monkeypatch.setattr(fine_tuning, "train", None)
    np.testing.assert_array_equal(whole, four_steps(tmp_path / "whole", untrained))


def test_loss_and_metrics_of_a_model_that_is_compiled_are_kept_and_so_is_the_precision(
    untrained: Path, tmp_path: Path
) -> None:
    seen = set()

    def loss(labels: Any, predictions: Any) -> Any:
        seen.add(predictions.dtype)
        return keras.losses.sparse_categorical_crossentropy(labels, predictions)

    def compiled(inputs: Any, hp: Any) -> keras.Model:
        seen.add(keras.config.dtype_policy().name)
        built = small(inputs, hp)
        built.compile("sgd", loss, metrics=["accuracy"])
        return built

    given = training(compiled, precision="mixed_bfloat16")
    model = tuning(tmp_path, untrained, dataclasses.replace(given, train=VALIDATION), epochs=1).model(8, aware=True)
    assert model.loss is loss
    assert seen == {"mixed_bfloat16", "float32", tf.float32}
    assert {weight.dtype for weight in model.weights} == {"float32"}


def test_fine_tuning_that_breaks_down_says_which_setting_to_lower(untrained: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"broke down; lower quantizer\.qat\.learning_rate\. Step \d+: not finite"):
        tuning(tmp_path, untrained, training(small), learning_rate=1e30).model(8, aware=False)
