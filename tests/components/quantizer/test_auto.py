"""Claims about `auto`: which mode it takes and what the record keeps of those refused, run against real MLMD."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.quantizer.candidates import Attempt, chosen, climb
from components.quantizer.settings import Recipe
from lineage.outcome import InputError
from tests.components.quantizer.quantized import KEYS, X, inputs, points, quantize, tried
from tests.components.small_data import LABEL, fixed
from tests.tfx_harness import Given


def breaks_under_int8(root: Path, ratio: float = 1000.0) -> dict[str, Given]:
    """Channels whose ranges differ a thousandfold and which the next layer undoes: one scale for all loses the small.

    The eight channels of the hidden layer are x * [ratio x 4, 1 x 4]; the answer is the largest of the four small ones.
    With `dynamic` the activations stay float32 (so small weights do too), and float16 rounds no channel to nothing.
    """
    hidden = layers.Dense(8, activation="relu", use_bias=False)
    answers = layers.Dense(4, activation="softmax", use_bias=False)
    built = keras.Sequential([keras.Input([8]), hidden, answers])
    hidden.set_weights([np.diag([ratio] * 4 + [1.0] * 4)])
    answers.set_weights([np.concatenate([np.zeros((4, 4)), 5 * np.eye(4)])])
    x = np.abs(points(2))
    return inputs(root, built, {"x": x, LABEL: np.argmax(x[:, 4:], axis=1)}, X, KEYS)


def test_auto_takes_the_next_mode_where_int8_is_refused_and_keeps_both_verdicts(tmp_path: Path) -> None:
    quantized = quantize(tmp_path, breaks_under_int8(tmp_path), task="multiclass", mode="auto", max_drop=0.02)
    record = quantized.record
    assert [(one.mode, one.blessed) for one in record.candidates] == [("int8", False), ("dynamic", True)]
    assert (record.mode, record.blessed, quantized.blessed, record.reasons) == ("dynamic", True, True, [])
    [refused] = record.refused
    assert refused.drop is not None and refused.drop > 0.5
    assert any("accuracy is worse than the float model's" in reason for reason in refused.reasons)
    assert refused.worst_slice is not None and refused.worst_slice.drop > 0.5
    assert record.bytes == len(quantized.tflite) == record.candidates[-1].bytes


def test_int8_file_that_loses_one_rare_class_is_refused_for_it_where_the_whole_passes(tmp_path: Path) -> None:
    """Class 2 shows in a channel of 1/1000 the range of the one that tells 0 from 1, and in one example of fifty."""
    hidden, answers = layers.Dense(8, activation="relu", use_bias=False), layers.Dense(3, activation="softmax")
    built = keras.Sequential([keras.Input([8]), hidden, answers])
    hidden.set_weights([np.diag([1000.0, *[1.0] * 7])])
    answers.set_weights([np.array([[0, 0.005, 0], [0, 0, 20.0], *[[0, 0, 0]] * 6]), np.array([1.0, 0, -36])])
    [lenient] = tried(tmp_path / "lenient", built, max_drop=0.05, max_slice_drop=None)
    assert lenient.blessed and lenient.found is not None and 0 < lenient.found.drop < 0.05
    [refused] = tried(tmp_path / "strict", built, max_drop=0.05)
    [reason] = refused.reasons
    assert reason.startswith("accuracy on label:2 (") and " is worse by 1.0000" in reason


def test_auto_that_is_refused_everywhere_is_not_blessed_and_has_the_reasons_of_each(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    built = keras.Sequential([keras.Input([8]), layers.Dense(256, activation="relu"), layers.Dense(1)])
    labels = np.asarray(built(points(3)))[:, 0]  # its own answers: the float model is right to the last digits
    data = inputs(tmp_path, built, {"x": points(3), LABEL: labels}, X, fixed(LABEL, "FLOAT", 1))
    quantized = quantize(tmp_path, data, task="regression", mode="auto", max_drop=1e-6)
    record = quantized.record
    assert [one.mode for one in record.candidates] == ["int8", "dynamic", "float16"]
    assert not record.blessed and not quantized.blessed
    assert (record.mode, record.bytes) == ("float16", len(quantized.tflite)), "the safest is kept to look at"
    for mode, reason in zip(("int8", "dynamic", "float16"), record.reasons, strict=True):
        assert reason.startswith(f"{mode}: mean_absolute_error is worse than the float model's by ")


def test_auto_goes_on_where_an_operation_has_no_integer_kernel(tmp_path: Path) -> None:
    x = keras.Input([8], name="x")
    turned = layers.Lambda(lambda t: tf.math.atan2(t, t + 3.0))(layers.Dense(8)(x))
    built = keras.Model(x, layers.Dense(3, activation="softmax")(turned))
    refused, taken = tried(tmp_path, built, mode="auto")
    assert "1 operations stay float: ATAN2 (no integer kernel)" in refused.reasons
    assert (taken.recipe, taken.blessed) == ("dynamic", True)


def test_auto_goes_on_where_a_mode_makes_no_file_and_says_so() -> None:
    def attempt(recipe: Recipe) -> Attempt:
        if recipe == "int8":
            raise InputError("TFLite cannot convert the model.")
        return Attempt(recipe, b"file", None, [], [])

    refused, taken = climb(("int8", "dynamic", "float16"), attempt)
    assert (refused.model, refused.reasons) == (None, ["TFLite cannot convert the model."])
    assert refused.recorded().bytes is None
    assert chosen([refused, taken]).recipe == "dynamic"
    with pytest.raises(InputError, match="cannot convert"):
        climb(("int8",), attempt)
