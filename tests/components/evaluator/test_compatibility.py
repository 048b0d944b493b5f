"""Claims about which blessed models are compared with, by the signatures that models are asked by."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import Model

from components.evaluator.compatibility import can_compare
from tests.components import small_data
from tests.components.small_data import SPLITS


def model(folder: Path, signature: str, answer: Callable[[tf.Tensor], tf.Tensor]) -> Artifact:
    """Answers from the feature x [1] of serialized examples."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([1], tf.float32)})
        return {"predictions": answer(parsed["x"])}

    tf.saved_model.save(tf.Module(), str(folder / "Format-Serving"), signatures={signature: serve})
    found = Model()
    found.uri = str(folder)
    return found


@pytest.mark.parametrize(
    ("signature", "values", "reason"),
    [
        ("serving_default", 1, ""),
        ("serve_examples", 1, "it is asked by serve_examples, this one by serving_default."),
        ("serving_default", 3, "it answers {'predictions': [3]}, this one {'predictions': [1]}."),
    ],
)
def test_a_blessed_model_is_compared_with_where_it_is_asked_and_answers_alike(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, signature: str, values: int, reason: str
) -> None:
    columns = {"x": np.arange(4, dtype=np.float32)}
    given = {
        "examples": [small_data.artifact(small_data.examples(tmp_path / "examples", dict.fromkeys(SPLITS, columns)))],
        "model": [model(tmp_path / "candidate", "serving_default", lambda x: x)],
        "baseline_model": [model(tmp_path / "baseline", signature, lambda x: tf.repeat(x, values, axis=1))],
    }
    with caplog.at_level(logging.WARNING):
        assert can_compare(given, "test") is not bool(reason)
    assert reason in caplog.text
