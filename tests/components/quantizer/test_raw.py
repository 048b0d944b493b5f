"""Claims about a file with `preprocessing_fn` inside: it takes raw features, is judged on them, or is refused by name.

The Transform is TFX's; what is expected of the file is what the SavedModel's `serving_default` says in TensorFlow.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from keras import layers
from tfx.types.standard_artifacts import Model, Schema

from components import dataset
from components.quantizer import convert, raw
from components.quantizer.card import Card
from components.quantizer.component import Quantizer
from components.quantizer.interpreter import TFLite
from components.quantizer.qat import fine_tuning
from components.quantizer.settings import QuantizerSettings
from components.signatures import SERVING_DEFAULT
from components.trainer.export import export
from lineage.outcome import InputError
from tests.components import small_data
from tests.components.quantizer.quantized import KEYS, Quantized, quantize
from tests.components.small_data import LABEL, SPLITS, fixed, optional, several
from tests.components.trainer.small_training import transform, write
from tests.tfx_harness import Given

ROWS = 120
PREPROCESSING = """
import tensorflow as tf
import tensorflow_transform as tft

def preprocessing_fn(inputs):
    fare = inputs["fare"]
    shape = [fare.dense_shape[0], 1]
    return {
        "fare": tft.scale_to_0_1(tf.sparse.to_dense(tf.SparseTensor(fare.indices, fare.values, shape), -1.0)),
        "x": tft.scale_to_z_score(inputs["x"], elementwise=True),
        "label": 1 - inputs["label"],
    }
"""

BUILD_MODEL = """
def build_model(inputs_spec, hp):
    given = {name: keras.Input(spec.shape[1:], name=name) for name, spec in inputs_spec.items()}
    return keras.Model(given, layers.Dense(1, activation="sigmoid")(layers.Concatenate()([*given.values()])))
"""


def trips(seed: int) -> dict[str, Any]:
    """Two numbers of very different ranges, and a fare that every fifth row lacks."""
    random = np.random.default_rng(seed)
    x = random.normal([3, 3000], [2, 500], (ROWS, 2)).astype(np.float32)
    fares = [None if row % 5 == 0 else float(fare) for row, fare in enumerate(random.gamma(2, 5, ROWS))]
    late = (x[:, 0] - 3) / 2 + (x[:, 1] - 3000) / 500 > 0
    return {"x": x, "fare": fares, LABEL: late.astype(int)}


def given_raw(rows: dict[str, Any]) -> dict[str, np.ndarray]:
    fares = np.array([[np.nan if fare is None else fare] for fare in rows["fare"]], np.float32)
    return {"x": rows["x"], "fare": fares}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    """Inputs of the Quantizer; the model says whether the z-scores of a row sum to less than 0, as its label does."""
    root = tmp_path_factory.mktemp("trips")
    columns = fixed("x", "FLOAT", 2), optional("fare", "FLOAT"), KEYS
    written = write(root / "raw", {split: trips(seed) for seed, split in enumerate(SPLITS)}, *columns)
    transformed = transform(root, written, PREPROCESSING)
    graph = tft.TFTransformOutput(transformed["transform_graph"].uri)
    schema = dataset.read_schema(artifact(written["schema"]))
    spec = dataset.model_spec(schema, graph)
    inputs = dataset.input_specs(spec, LABEL)
    given = {name: keras.Input(found.shape[1:], name=name) for name, found in inputs.items()}
    answer = layers.Dense(1, activation="sigmoid")
    built = keras.Model(given, answer(layers.Concatenate()([given["x"], given["fare"]])))
    answer.set_weights([np.array([[-4.0], [-4.0], [0.1]]), np.zeros(1)])
    raw_spec = {name: feature for name, feature in dataset.raw_spec(schema).items() if name != LABEL}
    folder = root / "model"
    export(built, str(folder / "Format-Serving"), inputs=inputs, spec=spec, raw_spec=raw_spec, transform=graph)
    return {**transformed, "model": Given(Model, str(folder)), "raw_examples": written["examples"]}


def artifact(given: Given) -> Schema:
    found = Schema()
    found.uri = given.uri
    return found


@pytest.fixture(scope="module")
def quantized(trained: dict[str, Given], tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    root = tmp_path_factory.mktemp("run")
    return quantize(root, trained, task="binary", mode="auto", max_drop=0.05, include_preprocessing=True)


def test_file_takes_raw_features_and_says_what_the_served_model_says(quantized: Quantized) -> None:
    rows = given_raw(trips(SPLITS.index("test")))
    served = tf.saved_model.load(quantized.saved_model).signatures[SERVING_DEFAULT]
    expected = served(**{name: tf.constant(column) for name, column in rows.items()})["predictions"].numpy()
    card = Card.of(quantized.tflite)
    assert (card.signature, card.preprocessing, card.raw_features) == (SERVING_DEFAULT, "inside", [])
    assert {tensor.name: tensor.shape for tensor in card.inputs} == {"x": [None, 2], "fare": [None, None]}
    np.testing.assert_allclose(TFLite(quantized.tflite).predict(rows), expected, atol=0.02)


def test_it_is_judged_on_raw_rows_with_the_labels_that_transform_makes(quantized: Quantized) -> None:
    """The labels that Transform turned round are the model's: those of the raw rows would make it always wrong."""
    record = quantized.record
    assert record.examples == ROWS
    assert record.float_value > 0.95


def test_int8_is_passed_over_where_a_number_may_be_missing(quantized: Quantized) -> None:
    [refused, taken] = quantized.record.candidates
    assert refused.reasons == [
        "int8 has no number for a missing value, and fare may be missing. Take mode dynamic or float16, or fill the "
        "gaps in the data."
    ]
    assert (refused.mode, taken.mode, quantized.blessed) == ("int8", "dynamic", True)


def test_and_so_is_int8_qat_before_anything_is_trained(
    trained: dict[str, Given], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tuning, "train", None)
    settings = {"mode": "int8_qat", "include_preprocessing": True, "source": BUILD_MODEL}
    with pytest.raises(InputError, match="int8 has no number for a missing value, and fare may be missing"):
        quantize(tmp_path, trained, task="binary", **settings)


def test_without_it_the_file_takes_what_transform_makes_and_says_of_what(
    trained: dict[str, Given], tmp_path: Path
) -> None:
    quantized = quantize(tmp_path, trained, task="binary", max_drop=0.1, max_slice_drop=None)
    card = Card.of(quantized.tflite)
    assert (card.signature, card.preprocessing) == ("transformed", "outside")
    assert {feature.name: feature.shape for feature in card.raw_features} == {"x": [None, 2], "fare": [None, None]}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (fixed("company", "BYTES", 1), "The raw features company are text, expected numbers"),
        (several("stops", "FLOAT"), "any number of values of stops, expected one, by the schema `value_count { max: 1"),
    ],
)
def test_text_and_lists_are_refused_by_name(column: str, expected: str, tmp_path: Path) -> None:
    schema = dataset.read_schema(artifact(small_data.schema(tmp_path / "schema", column, KEYS)))
    with pytest.raises(InputError, match=expected):
        raw.inputs(schema, [LABEL])


def test_operation_of_preprocessing_fn_that_tflite_lacks_is_named_with_what_to_do(tmp_path: Path) -> None:
    """A Transform's layer by its name: of what tft.bucketize does TFLite has nothing."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def serving_default(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.name_scope("transform_features_layer"):
            return {"predictions": tf.raw_ops.UpperBound(sorted_inputs=[[0.0, 1.0]], values=x[:1])}

    tf.saved_model.save(module, str(tmp_path), signatures={SERVING_DEFAULT: serving_default})
    inputs = {"x": tf.TensorSpec([None, 2], tf.float32)}
    expected = r"TFLite has no UpperBound. It is of preprocessing_fn: .* quantizer.include_preprocessing to false"
    with pytest.raises(InputError, match=expected), convert.told_in_a_sentence(inputs):
        convert.to_float(str(tmp_path), SERVING_DEFAULT)


def test_component_needs_the_raw_examples() -> None:
    settings = QuantizerSettings(include_preprocessing=True)
    channels = dict.fromkeys(("model", "examples", "schema"))
    with pytest.raises(ValueError, match="got include_preprocessing and no raw_examples"):
        Quantizer(**channels, transform_graph=True, task="binary", label="y", settings=settings)
