"""Claims about how the Trainer fits, run against real MLMD on tiny data; expected numbers come from NumPy."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.not_finite import NotFiniteError
from tests.components.small_data import LABEL, serialized, sigmoid, softmax
from tests.components.trainer.small_training import (
    BINARY,
    CLASSES,
    KEYS,
    NUMBERED,
    NUMBERS,
    N,
    Trained,
    X,
    train,
    write,
)
from tests.tfx_harness import Given

EPSILON = 1e-7  # Keras clips probabilities at it


@pytest.fixture(scope="module")
def multiclass_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    return write(tmp_path_factory.mktemp("multiclass"), CLASSES, X, KEYS)


@pytest.fixture(scope="module")
def binary_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    return write(tmp_path_factory.mktemp("binary"), BINARY, X, N, KEYS)


@pytest.fixture(scope="module")
def regression_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    return write(tmp_path_factory.mktemp("regression"), NUMBERED, X, N, NUMBERS)


# Descends for three epochs and then climbs the same convex loss: epoch 3 of 6 is the best.
THREE_EPOCHS_DOWN_THREE_UP = """
def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4]), layers.Dropout(0.1), layers.Dense(3, activation="softmax")])

def optimizer(hp):
    return keras.optimizers.SGD()

def callbacks(hp):
    return [keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.2 if epoch < 3 else -0.2)]
"""


@pytest.fixture(scope="module")
def multiclass(multiclass_data: dict[str, Given], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("run")
    return train(root, multiclass_data, THREE_EPOCHS_DOWN_THREE_UP, task="multiclass", epochs=6, early_stopping=0)


def test_exported_weights_are_those_of_the_epoch_with_the_least_validation_loss(multiclass: Trained) -> None:
    record = multiclass.record
    losses = record.history["val_loss"]
    assert record.best_epoch == 3 == 1 + int(np.argmin(losses))
    predictions = multiclass.predict(x=CLASSES["eval"]["x"])
    loss = -np.mean(np.log(predictions[np.arange(50), CLASSES["eval"][LABEL]]))
    assert loss == pytest.approx(min(losses), rel=1e-5)
    assert min(losses[:2] + losses[3:]) > 1.01 * loss, "no other epoch could be taken for the best"


def test_record_agrees_with_the_training(multiclass: Trained) -> None:
    record = multiclass.record
    assert record.epochs == 6
    assert record.parameters == 4 * 3 + 3
    assert record.examples_per_second > 0
    accuracy = "sparse_categorical_accuracy"
    assert set(record.history) == {"loss", "val_loss", accuracy, f"val_{accuracy}", "learning_rate"}
    assert {len(values) for values in record.history.values()} == {6}
    hits = np.argmax(multiclass.predict(x=CLASSES["eval"]["x"]), axis=1) == CLASSES["eval"][LABEL]
    assert record.history[f"val_{accuracy}"][2] == pytest.approx(np.mean(hits))


def test_last_checkpoint_is_that_of_the_last_epoch(multiclass: Trained) -> None:
    kernel, bias = multiclass.weights("last")
    probabilities = softmax(CLASSES["eval"]["x"] @ kernel + bias)[np.arange(50), CLASSES["eval"][LABEL]]
    loss = -np.mean(np.log(np.maximum(probabilities, EPSILON)))
    assert loss == pytest.approx(multiclass.record.history["val_loss"][-1], rel=1e-5)


@pytest.mark.parametrize(
    ("writer", "plugin", "tag"),
    [
        ("train", "histograms", "sequential/dense/kernel/histogram"),
        ("train", "histograms", "sequential/dense/bias/histogram"),
        ("train", "scalars", "epoch_loss"),
        ("validation", "scalars", "epoch_loss"),
    ],
)
def test_tensorboard_has_curves_and_histograms_of_every_epoch(
    multiclass: Trained, writer: str, plugin: str, tag: str
) -> None:
    files = [str(path) for path in (multiclass.model_run / "tensorboard" / writer).glob("events.out.tfevents.*")]
    events = [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(files)]
    values = [(event.step, value) for event in events for value in event.summary.value]
    assert [step for step, v in values if (v.metadata.plugin_data.plugin_name, v.tag) == (plugin, tag)] == [*range(6)]


def test_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others(
    multiclass: Trained, multiclass_data: dict[str, Given], tmp_path: Path
) -> None:
    settings = {"task": "multiclass", "epochs": 6, "early_stopping": 0}
    repeated = train(tmp_path / "again", multiclass_data, THREE_EPOCHS_DOWN_THREE_UP, seed=0, **settings)
    different = train(tmp_path / "other", multiclass_data, THREE_EPOCHS_DOWN_THREE_UP, seed=1, **settings)
    for checkpoint in ("best", "last"):
        for first, second in zip(multiclass.weights(checkpoint), repeated.weights(checkpoint), strict=True):
            np.testing.assert_array_equal(first, second)
        assert not np.array_equal(multiclass.weights(checkpoint)[0], different.weights(checkpoint)[0])


FUNCTIONAL = """
def build_model(inputs_spec, hp):
    inputs = {name: keras.Input(spec.shape[1:], name=name, dtype=spec.dtype.name) for name, spec in inputs_spec.items()}
    joined = layers.Concatenate()([inputs["x"], layers.Rescaling(0.5)(inputs["n"])])
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(joined))
"""


def test_functional_model_of_several_inputs_trains_with_the_defaults_of_binary(
    binary_data: dict[str, Given], tmp_path: Path
) -> None:
    trained = train(tmp_path, binary_data, FUNCTIONAL, task="binary", epochs=3)
    test, evaluated = BINARY["test"], BINARY["eval"]
    names = {"loss", "binary_accuracy", "auc"}
    assert set(trained.record.history) == names | {f"val_{name}" for name in names}
    assert trained.record.history["loss"][-1] < trained.record.history["loss"][0]

    kernel, bias = trained.weights()
    expected = sigmoid(np.concatenate([test["x"], test["n"][:, None] / 2], axis=1) @ kernel + bias)
    raw = {"x": test["x"], "n": test["n"][:, None]}
    np.testing.assert_allclose(trained.predict(**raw), expected, atol=1e-6)
    np.testing.assert_array_equal(trained.predict_examples(serialized(test)), trained.predict(**raw))

    probabilities = trained.predict(x=evaluated["x"], n=evaluated["n"][:, None])[:, 0]
    loss = -np.mean(np.log(np.where(evaluated[LABEL], probabilities, 1 - probabilities)))
    assert loss == pytest.approx(min(trained.record.history["val_loss"]), rel=1e-5)


SUBCLASSED = """
class Linear(keras.Model):
    def __init__(self):
        super().__init__()
        self.joined = layers.Concatenate()
        self.dense = layers.Dense(1)

    def call(self, inputs):
        return self.dense(self.joined([inputs["x"], keras.ops.cast(inputs["n"], "float32")]))

def build_model(inputs_spec, hp):
    return Linear()
"""


def test_subclassed_model_that_is_not_built_trains_with_the_defaults_of_regression(
    regression_data: dict[str, Given], tmp_path: Path
) -> None:
    trained = train(tmp_path, regression_data, SUBCLASSED, task="regression", epochs=3)
    evaluated = NUMBERED["eval"]
    names = {"loss", "mean_absolute_error"}
    assert set(trained.record.history) == names | {f"val_{name}" for name in names}
    assert trained.record.parameters == 6
    errors = trained.predict(x=evaluated["x"], n=evaluated["n"][:, None])[:, 0] - evaluated[LABEL]
    best = trained.record.best_epoch - 1
    assert trained.record.history["val_loss"][best] == pytest.approx(np.mean(errors**2), rel=1e-5)
    assert trained.record.history["val_mean_absolute_error"][best] == pytest.approx(np.mean(np.abs(errors)), rel=1e-5)


STUCK = """
def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4]), layers.Dense(3, activation="softmax")])

def optimizer(hp):
    return keras.optimizers.SGD(0.0)
"""


@pytest.mark.parametrize(("patience", "epochs"), [(2, 1 + 2), (0, 6)])
def test_model_that_cannot_improve_stops_after_one_epoch_and_the_patience_or_never_without(
    multiclass_data: dict[str, Given], tmp_path: Path, patience: int, epochs: int
) -> None:
    trained = train(tmp_path, multiclass_data, STUCK, task="multiclass", epochs=6, early_stopping=patience)
    assert (trained.record.epochs, trained.record.best_epoch) == (epochs, 1)
    assert len(trained.record.history["val_loss"]) == epochs


def test_first_weights_follow_from_the_seed(multiclass_data: dict[str, Given], tmp_path: Path) -> None:
    runs = {
        name: train(tmp_path / name, multiclass_data, STUCK, task="multiclass", epochs=1, seed=seed)
        for name, seed in (("one", 1), ("another", 2))
    }
    assert not np.array_equal(runs["one"].weights()[0], runs["another"].weights()[0])


def test_training_that_breaks_down_names_the_layer_and_saves_the_batch(
    multiclass_data: dict[str, Given], tmp_path: Path
) -> None:
    breaks = THREE_EPOCHS_DOWN_THREE_UP.replace("else -0.2", "else float('inf')")
    with pytest.raises(
        NotFiniteError, match=r"Step 14: not finite is the gradient of sequential.*/dense.*/kernel"
    ) as caught:
        train(tmp_path, multiclass_data, breaks, task="multiclass", epochs=5, early_stopping=0)
    # 4 steps an epoch: the 13th makes the weights infinite, the 14th has no finite gradient.
    [saved] = (tmp_path / "artifacts/Trainer/.checkpoints").glob("*/nan-step-13.npz")
    assert str(saved) in str(caught.value)
    with np.load(saved) as batch:
        assert (batch["x"].shape, batch["__label__"].shape) == ((16, 4), (16,))


def test_steps_whose_gradient_is_not_finite_are_skipped_until_there_are_too_many(
    multiclass_data: dict[str, Given], tmp_path: Path
) -> None:
    breaks = THREE_EPOCHS_DOWN_THREE_UP.replace("else -0.2", "else float('inf')")
    with pytest.raises(NotFiniteError, match="20 steps in a row"):
        train(tmp_path, multiclass_data, breaks, task="multiclass", epochs=10, early_stopping=0, on_nan="skip")
