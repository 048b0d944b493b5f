"""Claims about reading a split, into memory or onto disk; expected rows are those that were written as examples."""

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
from tests.components.dataset.columns import assert_same
from tests.components.small_data import fixed, several

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
    return small_data.artifact(small_data.examples(tmp_path_factory.mktemp("examples"), rows))


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
    artifact = small_data.artifact(small_data.examples(tmp_path, dict.fromkeys(small_data.SPLITS, rows)))
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


TAGS = [["b", "a"], [], ["c"], None, ["a", "b", "c", "d"]]
IDS = [[3], [1, 2], np.array([], np.int64), [9, 9, 9], None]
LISTS = {"tags": [tags if tags is None else np.array(tags, "U") for tags in TAGS], "ids": IDS, "label": np.arange(5)}
LIST_FEATURES = (several("tags", "BYTES"), several("ids", "INT"), fixed("label", "INT", 1))


def test_lists_of_values_are_padded_to_the_longest_of_the_rows_that_are_taken(tmp_path: Path) -> None:
    artifact = small_data.artifact(small_data.examples(tmp_path, dict.fromkeys(small_data.SPLITS, LISTS)))
    split = dataset.read_split([artifact], "train", spec_of(*LIST_FEATURES), "label")
    some = split.take(tf.constant([2, 0, 3])).features
    assert some["tags"].numpy().tolist() == [[b"c", b""], [b"b", b"a"], [b"", b""]]
    assert some["ids"].numpy().tolist() == [[0, 0, 0], [3, 0, 0], [9, 9, 9]]
    none = split.take(tf.constant([3, 1])).features
    assert none["tags"].numpy().tolist() == [[b""], [b""]], "one value wide at least"


def test_inputs_of_the_model_have_any_width_where_rows_are_lists() -> None:
    assert dataset.input_specs(spec_of(*LIST_FEATURES), "label") == {
        "tags": tf.TensorSpec([None, None], tf.string, name="tags"),
        "ids": tf.TensorSpec([None, None], tf.int64, name="ids"),
    }


def test_label_or_weight_that_is_missing_in_some_rows_is_refused(tmp_path: Path) -> None:
    artifact = small_data.artifact(small_data.examples(tmp_path, dict.fromkeys(small_data.SPLITS, LISTS)))
    for label, weight, said in (("ids", None, "The label 'ids'"), ("label", "ids", "The weight 'ids'")):
        with pytest.raises(InputError, match=f"{said} is missing in some examples or of varying length"):
            dataset.read_split([artifact], "train", spec_of(*LIST_FEATURES), label, weight)


def test_sparse_features_of_the_schema_are_refused_by_name() -> None:
    indices = "".join(fixed(name, "INT", 1) for name in ("at",))
    sparse = 'sparse_feature { name: "words" index_feature { name: "at" } value_feature { name: "count" } }'
    with pytest.raises(InputError, match="The feature words would be a sparse or nested tensor"):
        spec_of(indices, fixed("count", "FLOAT", 1), sparse, fixed("label", "INT", 1))


def test_split_is_on_disk_where_it_takes_more_memory_than_it_may(artifact: Examples, tmp_path: Path) -> None:
    """A row has 6 float32, 2 int64, the label one of them, and a word of at least its 2 bytes: 11 take 462 or more."""
    spec = spec_of(*FEATURES)
    held = dataset.read_split([artifact], "train", spec, "label", cache=dataset.Cache(tmp_path, 2**20))
    disk = dataset.read_split([artifact], "train", spec, "label", cache=dataset.Cache(tmp_path, 461))
    assert (type(held), type(disk)) == (dataset.Split, dataset.DiskSplit)
    assert_same(disk.take(tf.range(ROWS)), held.take(tf.range(ROWS)))


def test_split_on_disk_is_found_again_and_not_decoded_anew(artifact: Examples, tmp_path: Path) -> None:
    spec = spec_of(*FEATURES)
    first = dataset.read_split([artifact], "train", spec, "label", cache=dataset.Cache(tmp_path, 0))
    elsewhere = Examples()
    elsewhere.uri, elsewhere.split_names = "/nowhere", artifact.split_names
    again = dataset.read_split([elsewhere], "train", spec, "label", cache=dataset.Cache(tmp_path, 0))
    assert_same(again.take(tf.range(ROWS)), first.take(tf.range(ROWS)))


def test_weights_are_checked_on_disk_as_in_memory(artifact: Examples, tmp_path: Path) -> None:
    disk = dataset.read_split([artifact], "train", spec_of(*FEATURES), "label", "count", dataset.Cache(tmp_path, 0))
    np.testing.assert_array_equal(disk.take(tf.range(ROWS)).weights, COLUMNS["count"])
    with pytest.raises(InputError, match="split 'eval', so that nothing counts there"):  # it has the row of count 0
        dataset.read_split([artifact], "eval", spec_of(*FEATURES), "label", "count", dataset.Cache(tmp_path, 0))


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
