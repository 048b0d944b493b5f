"""Claims about reading a split into memory and cutting it into batches; expected rows are those that were written."""

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types.standard_artifacts import Examples

from components import dataset
from lineage.outcome import InputError
from tests.components import small_data
from tests.components.small_data import fixed, optional

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


def test_examples_of_several_artifacts_are_one_split(artifact: Examples) -> None:
    both = dataset.read_split([artifact, artifact], "train", spec_of(*FEATURES), "label")
    np.testing.assert_array_equal(both.labels, np.tile(COLUMNS["label"], 2))


def test_split_without_examples_is_wrong_input(artifact: Examples) -> None:
    with pytest.raises(InputError, match="The split 'test' has no examples"):
        dataset.read_split([artifact], "test", spec_of(*FEATURES), "label")


def test_missing_label_is_told_with_the_features_there_are(artifact: Examples) -> None:
    with pytest.raises(InputError, match=r"label 'tip' is not among the features count, label, pixels, word"):
        dataset.read_split([artifact], "train", spec_of(*FEATURES), "tip")


def test_inputs_of_the_model_are_the_features_without_the_label() -> None:
    assert dataset.input_specs(spec_of(*FEATURES), "label") == {
        "count": tf.TensorSpec([None, 1], tf.int64, name="count"),
        "pixels": tf.TensorSpec([None, 2, 3], tf.float32, name="pixels"),
        "word": tf.TensorSpec([None, 1], tf.string, name="word"),
    }


def test_feature_without_a_fixed_shape_is_refused_for_the_model_by_name() -> None:
    with pytest.raises(InputError, match=r"features fare, tags are missing in some examples .* preprocessing_fn"):
        spec_of(*FEATURES, optional("tags", "BYTES"), optional("fare", "FLOAT"))


def rows_of(batch: tuple[dict[str, tf.Tensor], tf.Tensor]) -> list[int]:
    return [int(count) // 10 for count in np.ravel(batch[0]["count"])]


def epochs(data: tf.data.Dataset, count: int) -> list[list[int]]:
    return [[row for batch in data for row in rows_of(batch)] for _ in range(count)]


def test_batches_without_a_seed_keep_the_order_and_the_rest_is_a_smaller_batch(train: dataset.Split) -> None:
    found = list(dataset.batches(train, 4))
    assert [rows_of(batch) for batch in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    for batch in found:
        rows = rows_of(batch)
        np.testing.assert_array_equal(batch[0]["pixels"], COLUMNS["pixels"][rows])
        np.testing.assert_array_equal(batch[1], COLUMNS["label"][rows])


def test_each_shuffled_epoch_has_every_row_once_with_its_own_label_in_an_order_of_its_own(train: dataset.Split) -> None:
    data = dataset.batches(train, 4, shuffle_seed=7)
    orders = epochs(data, 3)
    assert [sorted(order) for order in orders] == [list(range(ROWS))] * 3
    assert len({tuple(order) for order in [*orders, range(ROWS)]}) == 4
    for batch in data:
        np.testing.assert_array_equal(batch[1], COLUMNS["label"][rows_of(batch)])


def test_orders_follow_from_the_seed(train: dataset.Split) -> None:
    def orders(seed: int) -> list[list[int]]:
        return epochs(dataset.batches(train, 4, shuffle_seed=seed), 2)

    assert orders(7) == orders(7)
    assert orders(7) != orders(8)
