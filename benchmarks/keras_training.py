"""What the Trainer stands beside: plain `keras.Model.fit` on arrays, and a run_fn as TFX's taxi and penguin examples
have it, for TFX's own Trainer. Not a user's model file: the model comes from one of those.
"""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import io_utils
from tfx_bsl.tfxio import dataset_options

from benchmarks.turns import EpochSeconds
from components import dataset, user_code
from components.trainer import model
from components.trainer.settings import TrainerSettings
from components.trainer.target import Target
from components.trainer.training import Training

EPOCHS_FILE = "epoch_seconds.json"


def fit(training: Training, jit_compile: bool, callback: keras.callbacks.Callback) -> None:
    """Plain `fit` on NumPy arrays, without validation."""
    fitted = training.build("float32").model
    fitted.jit_compile = jit_compile
    fitted.fit(
        model.as_input({name: np.asarray(column) for name, column in training.train.features.items()}),
        np.asarray(training.train.labels),
        batch_size=training.settings.batch_size,
        epochs=training.settings.epochs,
        callbacks=[callback],
        verbose=0,
    )


def chosen_jit_compile(training: Training) -> bool:
    """What Keras chooses where the user does not say."""
    return bool(training.build("float32").model.jit_compile)


def run_fn(fn_args: FnArgs) -> None:
    """TFX's Trainer calls this; `custom_config` says what it trains, and whether `mirrored`, as the examples are."""
    config = fn_args.custom_config
    schema = io_utils.parse_pbtxt_file(fn_args.schema_path, schema_pb2.Schema())
    spec = dict(schema_utils.schema_as_feature_spec(schema).feature_spec)
    options = dataset_options.TensorFlowDatasetOptions(batch_size=config["batch_size"], label_key=config["label"])
    train, validation = (
        fn_args.data_accessor.tf_dataset_factory(files, options, schema).repeat()
        for files in (fn_args.train_files, fn_args.eval_files)
    )
    strategy = tf.distribute.MirroredStrategy() if config["mirrored"] else tf.distribute.get_strategy()
    with strategy.scope():
        fitted = _compiled(config, dataset.input_specs(spec, config["label"]))
    epochs = EpochSeconds()
    fitted.fit(
        train,
        epochs=config["epochs"],
        steps_per_epoch=fn_args.train_steps,
        validation_data=validation,
        validation_steps=fn_args.eval_steps,
        callbacks=[keras.callbacks.TensorBoard(fn_args.model_run_dir, update_freq="epoch"), epochs],
        verbose=0,
    )
    Path(fn_args.model_run_dir, EPOCHS_FILE).write_text(json.dumps(epochs.seconds))
    del spec[config["label"]]
    _export(fitted, spec, fn_args.serving_model_dir)


def _compiled(config: dict[str, Any], inputs: dict[str, tf.TensorSpec]) -> keras.Model:
    settings = TrainerSettings(hyperparameters=config["hyperparameters"])
    labels = tf.TensorSpec([None], tf.int64)
    target = Target(task=config["task"], labels=labels, least=0, greatest=1, weighted=False)
    return model.build(user_code.load(config["model"]), inputs, target=target, settings=settings).model


def _export(fitted: keras.Model, spec: dict[str, Any], folder: str) -> None:
    """The examples' signature; by Keras' own archive, as `tf.saved_model.save` cannot save layers that draw numbers."""

    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": fitted(model.as_input(tf.io.parse_example(examples, spec)), training=False)}

    archive = keras.export.ExportArchive()
    archive.track(fitted)
    archive.add_endpoint("serving_default", serve, input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    archive.write_out(folder, verbose=False)
