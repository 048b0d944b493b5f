"""Claims: the compiled ops and their composites train the same weights; what is exported holds the composites."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import custom_ops
from components.transform import preprocessing_fn
from custom_ops import library
from tests.components.trainer.small_training import CLASSES, KEYS, Trained, X, train, write

# A loss that is an op, and a layer that calls one, in training and in what is exported.
SOURCE = """
import custom_ops
import tensorflow as tf

class Doubt(layers.Layer):
    def call(self, logits):
        doubt = custom_ops.smoothed_softmax_xent(logits, tf.argmax(logits, axis=1), label_smoothing=0.1)
        return logits * tf.expand_dims(doubt, 1)

def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4]), layers.Dense(3), Doubt()])

def loss(hp):
    return custom_ops.SmoothedCrossentropy(label_smoothing=0.1)
"""

PREDICT_WITHOUT_LIBRARY = """
import sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
print(model.signatures["serving_default"](x=tf.ones([1, 4]))["predictions"].numpy().tolist())
assert "custom_ops" not in sys.modules
"""

CHOOSE_CUSTOM = """
from components.trainer import ops
try:
    ops.chosen("custom")
except Exception as error:
    print(error)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    root = tmp_path_factory.mktemp("ops")
    data = write(root / "data", CLASSES, X, KEYS)
    settings = {"custom": {"ops": "custom"}, "composite": {"ops": "composite"}, "XLA": {"ops": "auto", "jit": True}}
    return {
        name: train(root / name, data, SOURCE, task="multiclass", epochs=1, **given) for name, given in settings.items()
    }


@pytest.mark.parametrize("other", ["composite", "XLA"])
def test_training_with_the_op_equals_training_with_the_composite(trained: dict[str, Trained], other: str) -> None:
    for by_op, by_composite in zip(trained["custom"].weights(), trained[other].weights(), strict=True):
        np.testing.assert_allclose(by_op, by_composite, atol=1e-5)
        assert np.abs(by_op).max() > 0


def test_the_model_and_the_record_say_what_ran(trained: dict[str, Trained]) -> None:
    expected = {"custom": "custom", "composite": "composite", "XLA": "custom"}
    assert {name: one.custom_ops for name, one in trained.items()} == expected
    assert {name: one.record.custom_ops for name, one in trained.items()} == expected


def test_the_exported_model_loads_where_the_library_does_not_exist(trained: dict[str, Trained]) -> None:
    assert custom_ops.available(), "else this would hold of any model"
    command = [sys.executable, "-c", PREDICT_WITHOUT_LIBRARY, f"{trained['custom'].model.uri}/Format-Serving"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    predicted = trained["custom"].predict(x=np.ones([1, 4], np.float32))
    np.testing.assert_allclose(json.loads(told), predicted, rtol=1e-6)


def test_custom_ops_that_are_not_built_are_refused_with_the_reason(tmp_path: Path) -> None:
    shutil.copytree(library.FOLDER, tmp_path / "custom_ops", ignore=shutil.ignore_patterns("*.so"))
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{library.FOLDER.parent}"}
    command = [sys.executable, "-c", CHOOSE_CUSTOM]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout
    assert told.startswith("trainer.ops is custom, but the compiled ops were not built. Build them with `make setup`")


def test_transform_holds_the_composite(tmp_path: Path) -> None:
    module = tmp_path / "model.py"
    module.write_text(
        "import custom_ops\nimport tensorflow as tf\n\ndef preprocessing_fn(inputs):\n"
        "    return {'loss': custom_ops.smoothed_softmax_xent(inputs['x'], tf.argmax(inputs['x'], axis=1))}\n"
    )
    with tf.Graph().as_default() as graph:
        preprocessing_fn({"x": tf.zeros([2, 3])}, {"module_file": str(module)})
    assert "LogSoftmax" in {op.type for op in graph.get_operations()}
    assert "SmoothedSoftmaxXent" not in {op.type for op in graph.get_operations()}
