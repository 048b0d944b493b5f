"""Claims about reading a split into memory and cutting it into batches; expected rows are those that were written."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types.standard_artifacts import Examples

from components import dataset
from lineage.outcome import InputError
from tests.components import small_data
from tests.components.small_data import fixed

FEATURES = (
    fixed("pixels", "FLOAT", 2, 3),
    fixed("count", "INT", 1),
    fixed("word", "BYTES", 1),
    fixed("label", "INT", 1),
)
ROWS = 11
COLUMNS = {
    "pixels": np.arange(ROWS * 6, dtype=np.float32).reshape(ROWS, 2, 3),
    "count": np.arange(ROWS) * 10,
    "word": [f"w{row}" for row in range(ROWS)],
    "label": np.arange(ROWS) % 4,
}


def spec_of(*features: str) -> dataset.FeatureSpec:
    return dataset.model_spec(text_format.Parse("".join(features), schema_pb2.Schema()), None)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    """Eleven rows in `train`, one in `eval`, none in `test`."""
    splits = {"train": slice(None), "eval": slice(1), "test": slice(0)}
    rows = {split: {name: column[part] for name, column in COLUMNS.items()} for split, part in splits.items()}
    given = small_data.examples(tmp_path_factory.mktemp("examples"), rows)
    examples = Examples()
    examples.uri = given.uri
    examples.split_names = given.properties["split_names"]
    return examples


@pytest.fixture(scope="module")
def train(artifact: Examples) -> dataset.Split:
    return dataset.read_split([artifact], "train", spec_of(*FEATURES), "label")


def test_split_holds_every_row_of_all_its_files_in_their_order(train: dataset.Split) -> None:
    assert len(train) == ROWS
    np.testing.assert_array_equal(train.features["pixels"], COLUMNS["pixels"])
    np.testing.assert_array_equal(train.features["count"], COLUMNS["count"].reshape(ROWS, 1))
    np.testing.assert_array_equal(train.features["word"], np.array(COLUMNS["word"], "S").reshape(ROWS, 1))
    assert {name: column.dtype for name, column in train.features.items()} == {
        "pixels": tf.float32,
        "count": tf.int64,
        "word": tf.string,
    }


def test_labels_are_apart_from_the_features_and_flat(train: dataset.Split) -> None:
    assert "label" not in train.features
    np.testing.assert_array_equal(train.labels, COLUMNS["label"])


def test_labels_of_several_values_keep_them_row_by_row(artifact: Examples) -> None:
    split = dataset.read_split([artifact], "train", spec_of(*FEATURES), "pixels")
    np.testing.assert_array_equal(split.labels, COLUMNS["pixels"].reshape(ROWS, 6))


def test_weights_are_apart_from_the_features_and_go_with_their_rows(artifact: Examples) -> None:
    spec = spec_of(*FEATURES)
    split = dataset.read_split([artifact], "train", spec, "label", "count")
    assert set(split.features) == {"pixels", "word"} == set(dataset.input_specs(spec, "label", "count"))
    rows = split.take(tf.constant([7, 2]))
    np.testing.assert_array_equal(rows.weights, np.array([70, 20], np.float32))
    assert rows.sample_weight is rows.weights


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (
            [1.0, -0.5, np.nan, np.inf],
            r"weight 'w' has 3 values that are negative, NaN or infinite in the split 'train'",
        ),
        ([0.0, 0.0], r"weight 'w' is 0 in every row of the split 'train'"),
        (["a", "b"], r"weight 'w' holds text, expected one number a row"),
        ([[1.0, 2.0]], r"weight 'w' holds 2 numbers a row, expected one number a row"),
    ],
)
def test_weights_that_are_none_are_refused_by_column_and_count(
    tmp_path: Path, weights: list[object], said: str
) -> None:
    kind = "BYTES" if isinstance(weights[0], str) else "FLOAT"
    features = (fixed("w", kind, np.size(weights[0])), fixed("label", "INT", 1))
    rows = {"w": weights, "label": [0] * len(weights)}
    given = small_data.examples(tmp_path, dict.fromkeys(small_data.SPLITS, rows))
    artifact = Examples()
    artifact.uri, artifact.split_names = given.uri, given.properties["split_names"]
    with pytest.raises(InputError, match=said):
        dataset.read_split([artifact], "train", spec_of(*features), "label", "w")


def test_examples_of_several_artifacts_are_one_split(artifact: Examples) -> None:
    both = dataset.read_split([artifact, artifact], "train", spec_of(*FEATURES), "label")
    np.testing.assert_array_equal(both.labels, np.tile(COLUMNS["label"], 2))


def test_split_without_examples_is_wrong_input(artifact: Examples) -> None:
    with pytest.raises(InputError, match="The split 'test' has no examples"):
        dataset.read_split([artifact], "test", spec_of(*FEATURES), "label")


def test_missing_label_is_told_with_the_features_there_are(artifact: Examples) -> None:
    with pytest.raises(InputError, match=r"label 'tip' is not among the features count, label, pixels, word"):
        dataset.read_split([artifact], "train", spec_of(*FEATURES), "tip")
    with pytest.raises(InputError, match=r"weight 'much' is not among the features count, label, pixels, word"):
        dataset.read_split([artifact], "train", spec_of(*FEATURES), "label", "much")


def test_inputs_of_the_model_are_the_features_without_the_label() -> None:
    assert dataset.input_specs(spec_of(*FEATURES), "label") == {
        "count": tf.TensorSpec([None, 1], tf.int64, name="count"),
        "pixels": tf.TensorSpec([None, 2, 3], tf.float32, name="pixels"),
        "word": tf.TensorSpec([None, 1], tf.string, name="word"),
    }


def test_numbers_that_are_not_finite_are_refused_by_column_and_count() -> None:
    good = tf.constant([[1.0], [2.0], [3.0]])
    dataset.Split("train", {"fare": good}, tf.constant([0, 1, 0])).check_finite()
    bad = tf.constant([[1.0], [float("nan")], [float("inf")]])
    with pytest.raises(InputError, match=r"fare has 2 values that are NaN or infinite in the split 'train'"):
        dataset.Split("train", {"miles": good, "fare": bad}, tf.constant([0, 1, 0])).check_finite()
    with pytest.raises(InputError, match=r"the label has 2 values"):
        dataset.Split("eval", {"miles": good}, bad[:, 0]).check_finite()
