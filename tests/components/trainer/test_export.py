"""Claims about the three signatures of the exported model, without and with a real Transform before it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from tests.components.small_data import LABEL, SPLITS, fixed, optional, serialized, sigmoid, softmax
from tests.components.trainer.small_training import CLASSES, KEYS, Trained, X, train, transform, write
from tests.tfx_harness import Given

POSITIONAL = """
def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4]), layers.Dropout(0.5), layers.Dense(3, activation="softmax")])
"""
BY_NAME = """
def build_model(inputs_spec, hp):
    inputs = {name: keras.Input(spec.shape[1:], name=name, dtype=spec.dtype.name) for name, spec in inputs_spec.items()}
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(inputs["x"]))
"""


@pytest.fixture(scope="module", params=[POSITIONAL, BY_NAME], ids=["positional", "by name"])
def multiclass(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A model that takes its only feature as a tensor, and one that names it."""
    root = tmp_path_factory.mktemp("multiclass")
    return train(root, write(root / "data", CLASSES, X, KEYS), request.param, task="multiclass", epochs=1)


def test_signatures_are_as_documented(multiclass: Trained) -> None:
    signatures = multiclass.saved_model.signatures
    assert set(signatures) == {"serving_default", "serve_examples", "transformed"}
    x = tf.TensorSpec([None, 4], tf.float32, name="x")
    inputs = {name: signature.structured_input_signature[1] for name, signature in signatures.items()}
    assert inputs["serving_default"] == inputs["transformed"] == {"x": x}
    assert inputs["serve_examples"] == {"examples": tf.TensorSpec([None], tf.string, name="examples")}
    for signature in signatures.values():
        [(name, output)] = signature.structured_outputs.items()
        assert (name, output.dtype, output.shape.as_list()) == ("predictions", tf.float32, [None, 3])


def test_raw_tensors_serialized_examples_and_the_weights_by_hand_give_the_same(multiclass: Trained) -> None:
    x = CLASSES["test"]["x"]
    kernel, bias = multiclass.weights()
    expected = softmax(x @ kernel + bias)
    np.testing.assert_allclose(multiclass.predict(x=x), expected, atol=1e-6)
    np.testing.assert_allclose(multiclass.predict_transformed(x=x), expected, atol=1e-6)
    np.testing.assert_array_equal(multiclass.predict_examples(serialized(CLASSES["test"])), multiclass.predict(x=x))


LOGITS = """
import custom_ops

def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4]), layers.Dense(hp["units"])])

def loss(hp):
    return eval(hp["loss"])
"""


@pytest.mark.parametrize(
    ("task", "units", "loss", "probabilities"),
    [
        ("multiclass", 3, "keras.losses.SparseCategoricalCrossentropy(from_logits=True)", softmax),
        ("multiclass", 3, "custom_ops.SmoothedCrossentropy(label_smoothing=0.1)", softmax),
        ("binary", 1, "keras.losses.BinaryCrossentropy(from_logits=True)", sigmoid),
    ],
)
def test_a_model_whose_loss_takes_logits_is_exported_with_probabilities(
    tmp_path: Path, task: str, units: int, loss: str, probabilities: Callable[[np.ndarray], np.ndarray]
) -> None:
    rows = {split: {"x": part["x"], LABEL: part[LABEL] % (units + (units == 1))} for split, part in CLASSES.items()}
    hyperparameters = {"units": units, "loss": loss}
    data = write(tmp_path / "data", rows, X, KEYS)
    trained = train(tmp_path / "one", data, LOGITS, task=task, epochs=1, hyperparameters=hyperparameters)
    x = rows["test"]["x"]
    kernel, bias = trained.weights()
    np.testing.assert_allclose(trained.predict(x=x), probabilities(x @ kernel + bias), atol=1e-6)


WITH_TRANSFORM = """
import tensorflow as tf
import tensorflow_transform as tft

def filled(column, missing):
    shape = [column.dense_shape[0], 1]
    return tf.sparse.to_dense(tf.SparseTensor(column.indices, column.values, shape), missing)

def preprocessing_fn(inputs):
    company = filled(inputs["company"], "none")
    return {
        "fare": tft.scale_to_z_score(filled(inputs["fare"], -1.0)),
        "seats": filled(inputs["seats"], 0),
        "x": tft.scale_to_z_score(inputs["x"], elementwise=True),
        "company": tft.compute_and_apply_vocabulary(company, num_oov_buckets=2),
        "label": inputs["label"],
    }

def build_model(inputs_spec, hp):
    inputs = {name: keras.Input(spec.shape[1:], name=name, dtype=spec.dtype.name) for name, spec in inputs_spec.items()}
    company = layers.Flatten()(layers.Embedding(8, 2)(inputs["company"]))
    seats = layers.Rescaling(0.25)(inputs["seats"])
    joined = layers.Concatenate()([inputs["fare"], inputs["x"], company, seats])
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(joined))

def optimizer(hp):
    return keras.optimizers.SGD(0.5)
"""
MISSING = {"fare": np.nan, "company": ""}


def trips(seed: int, companies: tuple[str, ...]) -> dict[str, Any]:
    """Forty rows, of which some have no fare, no company, or neither."""
    random = np.random.default_rng(seed)
    fares = [None if row % 5 == 0 else float(fare) for row, fare in enumerate(random.gamma(2, 5, 40))]
    names = [None if row % 4 == 0 else str(name) for row, name in enumerate(random.choice(companies, 40))]
    return {
        "fare": fares,
        "company": names,
        "seats": random.integers(1, 5, 40),
        "x": random.normal(3, 2, size=(40, 2)).astype(np.float32),
        LABEL: random.integers(0, 2, 40),
    }


TRIPS = {
    "train": trips(0, ("Blue", "City", "Taxi")),
    "eval": trips(1, ("Blue", "City")),
    "test": trips(2, ("Blue", "Taxi", "never seen")),
}


def raw_trips(split: str) -> dict[str, np.ndarray]:
    """What a client sends: [rows, 1], NaN or "" where there is no value."""
    rows = TRIPS[split]
    fares = np.array([[MISSING["fare"] if fare is None else fare] for fare in rows["fare"]], np.float32)
    companies = np.array([[MISSING["company"] if name is None else name] for name in rows["company"]], "S")
    return {"fare": fares, "company": companies, "seats": rows["seats"][:, None], "x": rows["x"]}


@pytest.fixture(scope="module")
def transformed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Given], Trained]:
    """What Transform made of the trips, and the model that was trained on it."""
    root = tmp_path_factory.mktemp("trips")
    columns = [
        optional("fare", "FLOAT"),
        optional("company", "BYTES"),
        optional("seats", "INT"),
        fixed("x", "FLOAT", 2),
    ]
    given = transform(root, write(root / "raw", TRIPS, *columns, KEYS), WITH_TRANSFORM)
    return given, train(root, given, WITH_TRANSFORM, task="binary", epochs=3)


def materialized(given: dict[str, Given], split: str) -> dict[str, np.ndarray]:
    """The features that Transform wrote, in the order of its files."""
    spec = tft.TFTransformOutput(given["transform_graph"].uri).transformed_feature_spec()
    files = sorted(Path(given["examples"].uri, f"Split-{split}").iterdir())
    records = [r.numpy() for r in tf.data.TFRecordDataset([str(file) for file in files], compression_type="GZIP")]
    return {name: column.numpy() for name, column in tf.io.parse_example(tf.constant(records), spec).items()}


@pytest.mark.parametrize("split", SPLITS)
def test_raw_features_and_what_transform_wrote_get_the_same_predictions(
    transformed: tuple[dict[str, Given], Trained], split: str
) -> None:
    given, trained = transformed
    features = materialized(given, split)
    del features[LABEL]
    written, served = trained.predict_transformed(**features), trained.predict(**raw_trips(split))
    assert len(np.unique(served)) > 30, "the predictions tell the rows apart"
    np.testing.assert_allclose(np.sort(served, axis=0), np.sort(written, axis=0), atol=1e-6)  # Beam may reorder rows
    np.testing.assert_allclose(trained.predict_examples(serialized(TRIPS[split])), served, atol=1e-6)


def test_missing_values_reach_the_model_as_the_preprocessing_fn_fills_them(
    transformed: tuple[dict[str, Given], Trained],
) -> None:
    """fare: (-1 - mean) / deviation over the filled train split; company: a row that says "none" itself."""
    _, trained = transformed
    fares = np.array([-1.0 if fare is None else fare for fare in TRIPS["train"]["fare"]])
    row = {"seats": np.array([[2]]), "x": np.array([[1.0, 2.0]], np.float32)}
    missing = trained.predict(fare=np.array([[np.nan]], np.float32), company=np.array([[""]], "S"), **row)
    named = trained.predict(fare=np.array([[-1.0]], np.float32), company=np.array([["none"]], "S"), **row)
    other = trained.predict(fare=np.array([[0.0]], np.float32), company=np.array([["Blue"]], "S"), **row)
    np.testing.assert_array_equal(missing, named)
    assert not np.array_equal(missing, other)
    z_scores = {round(float(value), 4) for value in materialized(transformed[0], "train")["fare"][:, 0]}
    assert round((-1 - fares.mean()) / fares.std(), 4) in z_scores


def test_signatures_take_raw_columns_or_transformed_ones(transformed: tuple[dict[str, Given], Trained]) -> None:
    signatures = transformed[1].saved_model.signatures
    assert signatures["serving_default"].structured_input_signature[1] == {
        "company": tf.TensorSpec([None, None], tf.string, name="company"),
        "fare": tf.TensorSpec([None, None], tf.float32, name="fare"),
        "seats": tf.TensorSpec([None, None], tf.int64, name="seats"),
        "x": tf.TensorSpec([None, 2], tf.float32, name="x"),
    }
    assert signatures["transformed"].structured_input_signature[1] == {
        "company": tf.TensorSpec([None, 1], tf.int64, name="company"),
        "fare": tf.TensorSpec([None, 1], tf.float32, name="fare"),
        "seats": tf.TensorSpec([None, 1], tf.int64, name="seats"),
        "x": tf.TensorSpec([None, 2], tf.float32, name="x"),
    }
