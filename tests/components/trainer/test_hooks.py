"""Claims about what the Trainer takes from the user's file, and how it says that the file does not fit the data."""

from pathlib import Path

import numpy as np
import pytest

from lineage.outcome import InputError
from tests.components import small_data
from tests.components.small_data import LABEL, optional
from tests.components.trainer.small_training import BINARY, KEYS, NUMBERED, NUMBERS, N, X, train, write
from tests.tfx_harness import Given


@pytest.fixture(scope="module")
def binary_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    return write(tmp_path_factory.mktemp("binary"), BINARY, X, N, KEYS)


@pytest.fixture(scope="module")
def regression_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    return write(tmp_path_factory.mktemp("regression"), NUMBERED, X, N, NUMBERS)


# One step of SGD from zero on the mean absolute error over all rows, with everything from the user's functions.
HOOKS = """
import pathlib

class Note(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        pathlib.Path(__file__).with_name("note").write_text(str(self.params["epochs"]))

def build_model(inputs_spec, hp):
    x, n = (keras.Input(spec.shape[1:], name=name) for name, spec in reversed(inputs_spec.items()))
    prediction = layers.Dense(1, kernel_initializer=hp["initializer"], use_bias=False)(x)
    return keras.Model({"x": x, "n": n}, prediction)

def optimizer(hp):
    return keras.optimizers.SGD(hp["rate"])

def loss(hp):
    return keras.losses.MeanAbsoluteError()

def metrics():
    return [keras.metrics.RootMeanSquaredError(name="error")]

def callbacks(hp):
    return [Note()]
"""
COMPILED = """
def build_model(inputs_spec, hp):
    x, n = (keras.Input(spec.shape[1:], name=name) for name, spec in reversed(inputs_spec.items()))
    model = keras.Model({"x": x, "n": n}, layers.Dense(1, kernel_initializer="zeros", use_bias=False)(x))
    model.compile(
        keras.optimizers.SGD(0.25), loss="mean_absolute_error", metrics=[keras.metrics.RootMeanSquaredError("error")]
    )
    return model

def optimizer(hp):
    raise AssertionError("the model is compiled already")

loss = metrics = optimizer
"""


def one_step(rate: float) -> np.ndarray:
    """d|y - w.x|/dw at w = 0 is -sign(y) x."""
    x, y = NUMBERED["train"]["x"], NUMBERED["train"][LABEL]
    return rate * np.mean(np.sign(y)[:, None] * x, axis=0)


@pytest.mark.parametrize("source", [HOOKS, COMPILED], ids=["hooks", "compiled"])
def test_users_optimizer_loss_metrics_and_compiled_model_are_used_as_they_are(
    regression_data: dict[str, Given], tmp_path: Path, source: str
) -> None:
    trained = train(
        tmp_path,
        regression_data,
        source,
        task="regression",
        epochs=1,
        batch_size=50,
        hyperparameters={"rate": 0.25, "initializer": "zeros"},
    )
    [kernel] = trained.weights()
    np.testing.assert_allclose(kernel[:, 0], one_step(0.25), atol=1e-6)
    assert set(trained.record.history) == {"loss", "error", "val_loss", "val_error"}
    before = NUMBERED["train"][LABEL]
    assert trained.record.history["loss"] == [pytest.approx(np.mean(np.abs(before)), rel=1e-5)]
    assert trained.record.history["error"] == [pytest.approx(np.sqrt(np.mean(before**2)), rel=1e-5)]
    assert (tmp_path / "note").exists() == (source is HOOKS)


FITS = """
def build_model(inputs_spec, hp):
    inputs = {name: keras.Input(spec.shape[1:], name=name) for name, spec in inputs_spec.items()}
    return keras.Model(inputs, layers.Dense(1)(inputs["x"]))
"""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def build_model(inputs_spec, hp):\n    return 7\n", "build_model returned int, expected a keras.Model"),
        (
            "def build_model(inputs_spec, hp):\n    return keras.Sequential([keras.Input([9]), layers.Dense(1)])\n",
            r"does not take the features \(n int64\(None, 1\), x float32\(None, 4\)\)",
        ),
    ],
    ids=["no model", "other features"],
)
def test_build_model_that_does_not_fit_is_wrong_input(
    binary_data: dict[str, Given], tmp_path: Path, source: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train(tmp_path, binary_data, source, task="binary")


def test_missing_label_is_wrong_input(binary_data: dict[str, Given], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"label 'tip' is not among the features label, n, x"):
        train(tmp_path, binary_data, FITS, task="binary", label="tip")


def test_model_that_does_not_take_columns_of_varying_length_is_told_what_they_are(
    binary_data: dict[str, Given], tmp_path: Path
) -> None:
    ragged = small_data.schema(tmp_path / "ragged", X, optional("fare", "FLOAT"), optional("company", "BYTES"), KEYS)
    features = r"does not take the features \(company string\(None, None\), fare float32\(None, None\), x float32"
    with pytest.raises(InputError, match=features):
        train(tmp_path, binary_data | {"schema": ragged}, FITS, task="binary")


RECORDED = """
def build_model(inputs_spec, hp):
    inputs = {name: keras.Input(spec.shape[1:], name=name) for name, spec in inputs_spec.items()}
    initializer = keras.initializers.Constant(0.1)
    return keras.Model(inputs, layers.Dense(1, "sigmoid", kernel_initializer=initializer, use_bias=False)(inputs["x"]))

def optimizer(hp):
    return keras.optimizers.SGD(hp["rate"])
"""


def test_class_weights_multiply_the_gradients_of_their_class(binary_data: dict[str, Given], tmp_path: Path) -> None:
    settings = {"epochs": 1, "batch_size": 50, "hyperparameters": {"rate": 0.5}, "class_weight": {1: 3.0}}
    [kernel] = train(tmp_path, binary_data, RECORDED, task="binary", **settings).weights()
    x, y = BINARY["train"]["x"], BINARY["train"][LABEL]
    weights = np.where(y == 1, 3.0, 1.0)
    errors = 1 / (1 + np.exp(-x @ np.full(4, 0.1))) - y  # d crossentropy / d logit
    expected = 0.1 - 0.5 * np.mean((weights * errors)[:, None] * x, axis=0)
    np.testing.assert_allclose(kernel[:, 0], expected, atol=1e-6)


def test_augmented_features_are_what_is_trained_on_and_not_what_is_validated_on(
    binary_data: dict[str, Given], tmp_path: Path
) -> None:
    augment = """
def augment(features, labels, seed):
    return features | {"x": -features["x"]}, labels
"""
    settings = {"epochs": 1, "batch_size": 50, "hyperparameters": {"rate": 0.5}}
    trained = train(tmp_path, binary_data, RECORDED + augment, task="binary", **settings)
    [kernel] = trained.weights()
    x, y = -BINARY["train"]["x"], BINARY["train"][LABEL]
    errors = 1 / (1 + np.exp(-x @ np.full(4, 0.1))) - y
    np.testing.assert_allclose(kernel[:, 0], 0.1 - 0.5 * np.mean(errors[:, None] * x, axis=0), atol=1e-6)
    x, y = BINARY["eval"]["x"], BINARY["eval"][LABEL]
    p = 1 / (1 + np.exp(-x @ kernel[:, 0]))
    assert trained.record.history["val_loss"][0] == pytest.approx(-np.mean(np.log(np.where(y, p, 1 - p))), rel=1e-5)


def test_learning_rate_falls_where_the_validation_loss_does_not(binary_data: dict[str, Given], tmp_path: Path) -> None:
    note = """
def callbacks(hp):
    class Rates(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["rate"] = float(self.model.optimizer.learning_rate)
    return [Rates()]
"""
    climbing = RECORDED.replace('hp["rate"]', '-hp["rate"]')  # ascends: the first epoch stays the best
    settings = {"epochs": 6, "early_stopping": 0, "hyperparameters": {"rate": 0.25}, "plateau": {"patience": 2}}
    history = train(tmp_path, binary_data, climbing + note, task="binary", **settings).record.history
    assert history["rate"] == [-0.25, -0.25, -0.125, -0.125, -0.0625, -0.0625]


def test_a_plateau_and_a_schedule_exclude_each_other(binary_data: dict[str, Given], tmp_path: Path) -> None:
    scheduled = RECORDED.replace('hp["rate"]', "keras.optimizers.schedules.CosineDecay(0.1, 10)")
    with pytest.raises(InputError, match="has a schedule, CosineDecay"):
        train(tmp_path, binary_data, scheduled, task="binary", plateau={"patience": 1})
