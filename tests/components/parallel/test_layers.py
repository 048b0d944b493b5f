"""Claims about placed and sharded layers: what they compute, where, what a saved model has of them, what is refused.

What four devices are needed for is found out by a process of its own, see facts.py, whose models are loaded here, where
there is one.
"""

import collections
import functools
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.core.protobuf import saved_model_pb2

from components.parallel import placed, sharded
from components.parallel.devices import checked, local_devices
from components.parallel.ordinary import ordinary_layers, whole_weights
from components.quantizer import convert
from components.quantizer.interpreter import TFLite
from components.trainer.settings import TrainerSettings
from lineage.outcome import InputError
from lineage.records import TrainingRecord
from tests.components.trainer.small_training import CLASSES
from tests.forked import Forked

# max |difference| of a weight after three epochs; in mixed precision sums are rounded in another order.
TOLERANCE, MIXED = 1e-6, 1e-3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("facts")


@pytest.fixture(scope="module")
def facts(folder: Path) -> dict[str, Any]:
    said, errors = folder / "facts.json", folder / "errors.txt"
    done = Forked("tests.components.parallel.facts", str(folder), output=said, errors=errors)
    assert done.wait() == 0, errors.read_text()
    found: dict[str, Any] = json.loads(said.read_text())
    return found


@pytest.fixture(scope="module")
def serving(facts: dict[str, Any], folder: Path) -> Path:
    """What the Trainer exported of a model with placed and sharded layers."""
    [pb] = (folder / "artifacts").glob("Trainer/model/*/Format-Serving/saved_model.pb")
    return pb.parent


@pytest.fixture(scope="module")
def model_run(facts: dict[str, Any], folder: Path) -> Path:
    [record] = (folder / "artifacts").glob("Trainer/model_run/*/training.json")
    return record.parent


def test_first_weights_are_those_of_plain_layers(facts: dict[str, Any]) -> None:
    assert facts["first weights"] == 0


def test_trained_weights_are_those_of_plain_layers(facts: dict[str, Any]) -> None:
    assert len(facts["differences"]) == 3
    for case, difference in facts["differences"].items():
        assert difference <= (MIXED if case.startswith("mixed") else TOLERANCE), case


def test_masks_reach_a_placed_layer(facts: dict[str, Any]) -> None:
    assert facts["masked"] == 0


def test_keras_fit_trains_to_the_weights_of_plain_layers(facts: dict[str, Any]) -> None:
    assert facts["fitted"] <= TOLERANCE


def test_weights_are_on_their_devices_and_slots_beside_them(facts: dict[str, Any]) -> None:
    on: dict[str, set[str]] = collections.defaultdict(set)
    for path, device in facts["weights"].items():
        on[device].add(path)
    assert all(
        device == "CPU:1" for path, device in facts["weights"].items() if path.startswith(("block/", "dense_3/"))
    )
    for number in range(4):
        assert {f"embedding/embeddings_{number}", f"dense_2/kernel_{number}"} <= on[f"CPU:{number}"]
    slots = {path: device for path, device in facts["slots"].items() if path.endswith(("momentum", "velocity"))}
    trainable = {path: device for path, device in facts["weights"].items() if "/moving_" not in path}
    assert len(slots) == 2 * len(trainable)
    for path, device in trainable.items():
        name = f"adam/{path.replace('/', '_')}"
        assert slots[f"{name}_momentum"] == slots[f"{name}_velocity"] == device


def test_models_that_are_built_by_being_called_have_their_weights_on_the_devices(facts: dict[str, Any]) -> None:
    assert facts["subclassed"] == {
        "subclassed/sequential/dense_5/kernel": "CPU:2",
        "subclassed/sequential/dense_5/bias": "CPU:2",
        "subclassed/dense_6/kernel_0": "CPU:3",
        "subclassed/dense_6/kernel_1": "CPU:1",
        "subclassed/dense_6/bias_0": "CPU:3",
        "subclassed/dense_6/bias_1": "CPU:1",
    }


def test_work_and_gradient_are_on_the_device_of_the_weights(facts: dict[str, Any]) -> None:
    # A Dense is three matrix products: forward, and the gradients of input and kernel. One is on four devices, one on
    # CPU:1.
    assert facts["products"] == {"CPU:0": 3, "CPU:1": 6, "CPU:2": 3, "CPU:3": 3}


def test_gradients_are_checked_and_applied_beside_the_weights(facts: dict[str, Any]) -> None:
    trainable = collections.Counter(device for path, device in facts["weights"].items() if "/moving_" not in path)
    assert facts["work of a step"] == {
        "UnsortedSegmentSum": {"CPU:0": 1, "CPU:1": 1, "CPU:2": 1, "CPU:3": 1},
        "IsFinite": trainable,
        "Sqrt": {device: 2 * count for device, count in trainable.items()},
    }


def test_saved_keras_model_is_loaded_with_its_parts(facts: dict[str, Any]) -> None:
    assert facts["saved"] == 0


def test_exported_model_names_no_device_and_no_layer_of_ours(serving: Path) -> None:
    saved = saved_model_pb2.SavedModel.FromString((serving / "saved_model.pb").read_bytes())
    [graph] = saved.meta_graphs
    nodes = [*graph.graph_def.node, *(node for f in graph.graph_def.library.function for node in f.node_def)]
    assert {node.device for node in nodes} <= {"", "/device:CPU:0", "/device:CPU:*"}  # TensorFlow's, for the files
    variables = {node.variable.name for node in graph.object_graph_def.nodes if node.HasField("variable")}
    assert variables == {f"{layer}/{kind}" for layer in ("dense", "dense_1", "dense_2") for kind in ("kernel", "bias")}


def plain_model() -> keras.Model:
    x = keras.Input([4], name="x")
    hidden = layers.Dense(5, activation="tanh")(layers.Dense(6, activation="tanh")(x))
    return keras.Model(x, layers.Dense(3, activation="softmax")(hidden))


def test_exported_weights_are_those_of_a_plain_keras_model(serving: Path, model_run: Path) -> None:
    model = plain_model()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.load_weights(model_run / "best.weights.h5")
    x = tf.constant(CLASSES["test"]["x"])
    served = tf.saved_model.load(str(serving)).signatures["serving_default"](x=x)["predictions"]
    np.testing.assert_allclose(served, model(x), atol=1e-6)
    record = TrainingRecord.load(str(model_run))
    assert record is not None and set(record.bytes_by_device) == {"CPU:0", "CPU:1", "CPU:2", "CPU:3"}


def test_exported_model_converts_to_tflite(serving: Path) -> None:
    flat = convert.to_float(str(serving))
    assert not any(word in flat for word in (b"CPU", b"harded"))
    x = CLASSES["test"]["x"]
    expected = tf.saved_model.load(str(serving)).signatures["transformed"](x=tf.constant(x))["predictions"]
    np.testing.assert_allclose(TFLite(flat).predict({"x": x}), expected, atol=1e-6)


def test_on_one_device_a_sharded_layer_is_one_part() -> None:
    assert local_devices() == ["CPU:0"]
    keras.utils.set_random_seed(0)
    expected = layers.Dense(3)
    keras.utils.set_random_seed(0)
    layer = sharded(layers.Dense(3))
    x = tf.random.normal([2, 5])
    np.testing.assert_array_equal(layer(x), expected(x))
    assert [weight.shape for weight in layer.weights] == [(5, 3), (3,)]


def test_ordinary_layers_are_the_layers_that_were_given() -> None:
    dense = layers.Dense(3)
    with ordinary_layers():
        assert sharded(dense, ["GPU:7"]) is dense
        assert placed(dense, "GPU:7") is dense


def test_whole_weights_of_a_plain_model_are_its_weights() -> None:
    model = plain_model()
    for whole, weight in zip(whole_weights(model), model.get_weights(), strict=True):
        np.testing.assert_array_equal(whole, weight)


@pytest.mark.parametrize(
    "name", ["cpu:0", "CPU:0", "/cpu:0", "/device:CPU:0", "/job:localhost/replica:0/task:0/device:CPU:0"]
)
def test_devices_are_known_by_all_their_names(name: str) -> None:
    assert checked(name) == "CPU:0"


def built_dense() -> keras.Layer:
    layer = layers.Dense(2)
    layer.build([None, 3])
    return layer


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: placed(layers.Dense(2), "GPU:1"),
            "A layer is to be on 'GPU:1'; expected a device of this process: CPU:0",
        ),
        (lambda: sharded(layers.Dense(2), ["what"]), "A layer is to be on 'what'"),
        (lambda: placed(built_dense(), "CPU:0"), "has weights already"),
        (lambda: sharded(built_dense()), "is built already"),
        (lambda: sharded(layers.LSTM(2)), "a layer of type LSTM; expected a Dense or an Embedding"),
        (
            lambda: sharded(layers.Dense(2, kernel_constraint="max_norm")),
            "has kernel_constraint, which needs the weight",
        ),
        (
            lambda: sharded(layers.Embedding(2, 2, embeddings_regularizer="orthogonal_regularizer")),
            "embeddings_regular",
        ),
        (lambda: sharded(layers.Dense(2, lora_rank=2)), "has lora_rank"),
    ],
    ids=["absent", "no device", "placed late", "sharded late", "kind", "constraint", "regularizer", "lora"],
)
def test_what_cannot_be_placed_or_sharded_is_wrong_input(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("make", [sharded, functools.partial(placed, device="CPU:0")], ids=["sharded", "placed"])
def test_replicas_of_one_device_each_are_wrong_input(make: Any) -> None:
    with (
        tf.distribute.MirroredStrategy(["CPU:0"]).scope(),
        pytest.raises(InputError, match=r"Set trainer\.model_parallel"),
    ):
        make(layers.Dense(2))


def test_mirrored_replicas_cannot_be_model_parallel() -> None:
    with pytest.raises(ValueError, match="got model_parallel with the strategy mirrored"):
        TrainerSettings(model_parallel=True, strategy="mirrored")
