"""Claims about modules that train by TFX's `run_fn`: what they are given, and what is asked of what they leave."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tfx.types.standard_artifacts import Model

from components import user_code
from components.signatures import examples_signature, signature_names
from components.trainer.component import Trainer
from components.trainer.settings import TrainerSettings
from lineage.outcome import InputError
from lineage.records import TrainingRecord
from tests.components.small_data import LABEL, serialized
from tests.components.trainer.small_training import CLASSES, KEYS, X, write
from tests.tfx_harness import Given, Ran, run_component

# As TFX's penguin example has it, but for the model; it leaves what it was given beside its logs.
MODULE = """
import json

import keras
import tensorflow as tf
import tfx.v1 as tfx
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio
from tensorflow_transform.tf_metadata import schema_utils

_LABEL_KEY = "label"


def _get_tf_examples_serving_signature(model, schema):
    @tf.function(input_signature=[tf.TensorSpec(shape=[None], dtype=tf.string, name="examples")])
    def serve_tf_examples_fn(serialized_tf_example):
        raw_feature_spec = schema_utils.schema_as_feature_spec(schema).feature_spec
        raw_feature_spec.pop(_LABEL_KEY)
        raw_features = tf.io.parse_example(serialized_tf_example, raw_feature_spec)
        return {"outputs": model(raw_features)}

    return serve_tf_examples_fn


def _input_fn(file_pattern, data_accessor, schema, batch_size):
    options = tfxio.TensorFlowDatasetOptions(batch_size=batch_size, label_key=_LABEL_KEY)
    return data_accessor.tf_dataset_factory(file_pattern, options, schema).repeat()


def _build_keras_model():
    inputs = [keras.layers.Input(shape=(4,), name="x")]
    d = keras.layers.concatenate([inputs[0]] * 2)
    model = keras.Model(inputs=inputs, outputs=keras.layers.Dense(3, activation="softmax")(d))
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="sparse_categorical_crossentropy")
    return model


def run_fn(fn_args: tfx.components.FnArgs):
    schema = tfx.utils.parse_pbtxt_file(fn_args.schema_file, schema_pb2.Schema())
    train_dataset = _input_fn(fn_args.train_files, fn_args.data_accessor, schema, 16)
    eval_dataset = _input_fn(fn_args.eval_files, fn_args.data_accessor, schema, 16)
    model = _build_keras_model()
    model.fit(
        train_dataset,
        steps_per_epoch=fn_args.train_steps,
        validation_data=eval_dataset,
        validation_steps=fn_args.eval_steps,
        callbacks=[keras.callbacks.TensorBoard(log_dir=fn_args.model_run_dir, update_freq="epoch")],
    )
    signatures = {"serving_default": _get_tf_examples_serving_signature(model, schema)}
    tf.saved_model.save(model, fn_args.serving_model_dir, signatures=signatures)
    given = {name: value for name, value in vars(fn_args).items() if name != "data_accessor"}
    with open(fn_args.model_run_dir + "/given.json", "w") as file:
        json.dump(given, file)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    return write(tmp_path_factory.mktemp("data"), CLASSES, X, KEYS)


def run(root: Path, data: dict[str, Given], source: str, **settings: Any) -> Ran:
    """Runs the Trainer with a module of this source."""
    root.mkdir(exist_ok=True)
    module = root / "model.py"
    module.write_text(source)

    def component(**channels: Any) -> Trainer:
        return Trainer(
            **channels,
            module_file=str(module),
            module_fingerprint=user_code.fingerprint(str(module), user_code.HOOKS),
            task="multiclass",
            label=LABEL,
            settings=TrainerSettings(**settings),
        )

    return run_component(root, component, data)


@pytest.fixture(scope="module")
def trained(data: dict[str, Given], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    root = tmp_path_factory.mktemp("run_fn")
    return run(root, data, MODULE, epochs=8, batch_size=16, hyperparameters={"units": 5}, seed=3)


def given(ran: Ran) -> dict[str, Any]:
    """What the module was given, but for the accessor of the data, with which it has read them."""
    found: dict[str, Any] = json.loads(Path(ran.uri("model_run"), "given.json").read_text())
    return found


def test_run_fn_is_given_what_tfx_gives(trained: Ran, data: dict[str, Given]) -> None:
    model, examples = Path(trained.uri("model")), data["examples"].uri
    schema = str(Path(data["schema"].uri, "schema.pbtxt"))
    assert given(trained) == {
        "working_dir": None,
        "train_files": [f"{examples}/Split-train/*"],
        "eval_files": [f"{examples}/Split-eval/*"],
        "train_steps": 8 * 4,  # 50 rows in batches of 16
        "eval_steps": 4,
        "schema_path": schema,
        "schema_file": schema,
        "transform_graph_path": None,
        "transform_output": None,
        "serving_model_dir": str(model / "Format-Serving"),
        "eval_model_dir": str(model / "Format-TFMA"),
        "model_run_dir": trained.uri("model_run"),
        "base_model": None,
        "hyperparameters": None,
        "custom_config": {"units": 5},
    }


def test_what_it_exports_is_the_model(trained: Ran) -> None:
    saved_model = str(Path(trained.uri("model"), "Format-Serving"))
    assert examples_signature(saved_model) == "serving_default"
    signature = tf.saved_model.load(saved_model).signatures["serving_default"]
    records = serialized({"x": CLASSES["eval"]["x"]})
    predicted = np.argmax(signature(examples=tf.constant(records))["outputs"].numpy(), axis=1)
    assert np.mean(predicted == CLASSES["eval"][LABEL]) > 0.6, "of three classes"


def test_there_is_no_record_of_a_training_that_is_not_ours(trained: Ran) -> None:
    assert TrainingRecord.load(trained.uri("model_run")) is None
    assert list(Path(trained.uri("model_run")).glob("train/events*")), "its own logs"


def test_base_model_and_path_are_told_to_run_fn(trained: Ran, data: dict[str, Given], tmp_path: Path) -> None:
    source = f"{MODULE.partition('def run_fn')[0]}def run_fn(fn_args):\n    raise ValueError(fn_args.base_model)\n"
    base_model = Given(Model, trained.uri("model"))
    saved_model = Path(trained.uri("model"), "Format-Serving")
    with pytest.raises(ValueError, match=f"^{saved_model}$"):
        run(tmp_path / "a", {**data, "base_model": base_model}, source)
    with pytest.raises(ValueError, match=f"^{saved_model}$"):
        run(tmp_path / "b", data, source, warm_start=trained.uri("model"))


def test_a_run_fn_that_exports_nothing_is_told_where_to(data: dict[str, Given], tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"run_fn has left no SavedModel in fn_args.serving_model_dir, .*Format-Serving"
    ):
        run(tmp_path, data, "def run_fn(fn_args): ...\n")


def test_a_model_that_takes_no_serialized_examples_is_refused(data: dict[str, Given], tmp_path: Path) -> None:
    source = """
import keras

def run_fn(fn_args):
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(3)])
    model.export(fn_args.serving_model_dir, verbose=False)
"""
    with pytest.raises(InputError, match=r"takes serialized tf.Examples, .*; it has serve, serving_default. Export"):
        run(tmp_path, data, source)


def test_our_own_signature_comes_before_serving_default(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input([], dtype="string"), keras.layers.Lambda(lambda x: tf.strings.length(x))])
    archive = keras.export.ExportArchive()
    archive.track(model)
    text = [tf.TensorSpec([None], tf.string, name="text")]
    for name in ("serving_default", "serve_examples"):
        archive.add_endpoint(name, lambda x: {"length": model(x)}, input_signature=text)
    archive.write_out(str(tmp_path), verbose=False)
    assert signature_names(str(tmp_path)) == ["serve_examples", "serving_default"]
    assert examples_signature(str(tmp_path)) == "serve_examples"
