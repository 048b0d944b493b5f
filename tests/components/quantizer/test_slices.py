"""Claims about the slices of raw columns, and that a Quantizer with a Transform judges by them."""

from pathlib import Path

import pytest
import tensorflow as tf

from components.quantizer.component import Quantizer
from components.quantizer.slices import by_columns
from tests.components import small_data
from tests.components.quantizer.quantized import KEYS, X, classifier, inputs, points, quantize
from tests.components.small_data import LABEL

_SPEC = {"city": tf.io.VarLenFeature(tf.string), "floor": tf.io.FixedLenFeature([1], tf.int64)}


def rows_by_name(root: Path, *slices: str) -> dict[str, list[int]]:
    rows = {"city": ["Ulm", "Bonn", None, "Ulm", ["Ulm", "Bonn"]], "floor": [1, 1, 2, 2, 1]}
    given = small_data.examples(root / "examples", dict.fromkeys(small_data.SPLITS, rows))
    found = by_columns([small_data.artifact(given)], "test", slices, _SPEC)
    return {part.name: part.rows.tolist() for part in found}


def test_each_value_is_a_slice_and_an_example_without_one_is_in_none(tmp_path: Path) -> None:
    assert rows_by_name(tmp_path, "city") == {"city:Bonn": [1, 4], "city:Ulm": [0, 3, 4]}


def test_comma_crosses_columns(tmp_path: Path) -> None:
    assert rows_by_name(tmp_path, "city,floor") == {
        "city:Bonn, floor:1": [1, 4],
        "city:Ulm, floor:1": [0, 4],
        "city:Ulm, floor:2": [3],
    }


def test_record_has_the_slices_of_columns_and_of_classes(tmp_path: Path) -> None:
    built = classifier(8, 32, 2, "softmax")
    labels = (points(0)[:, 0] > 0).astype(int)
    data = inputs(tmp_path, built, {"x": points(0), LABEL: labels}, X, KEYS)
    record = quantize(tmp_path, data, task="multiclass", slices=(LABEL,), mode="float16", max_slice_drop=0.1).record
    assert {part.name: part.examples for part in record.slices} == {
        "label:0": len(labels) - labels.sum(),
        "label:1": labels.sum(),
    }
    assert record.blessed


def test_slices_behind_a_transform_need_the_raw_examples() -> None:
    with pytest.raises(ValueError, match="got slices city and no raw_examples"):
        Quantizer(
            model=None, examples=None, schema=None, transform_graph=True, task="binary", label="y", slices=["city"]
        )
