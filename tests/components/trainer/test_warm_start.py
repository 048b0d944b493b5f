"""Claims about what a training begins with: the weights at a path, whole or refused, and the latest blessed model's."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tfx.types import BaseChannel
from tfx.types.standard_artifacts import Model

from components import user_code
from components.dataset import Split
from components.parallel import sharded
from components.parallel.ordinary import set_whole_weights, whole_weights
from components.trainer import weights_file
from components.trainer.component import Trainer
from components.trainer.settings import TrainerSettings
from components.trainer.train import train
from components.trainer.training import Training
from lineage.outcome import InputError
from lineage.records import TrainingRecord
from tests.components.small_data import LABEL
from tests.components.trainer import small_training
from tests.components.trainer.small_training import CLASSES, KEYS, X
from tests.tfx_harness import Given, run_component

INPUTS = {"x": tf.TensorSpec([None, 4], tf.float32, name="x")}


def network(units: int = 5, outputs: int = 3, dropout: float = 0.2) -> keras.Model:
    """With statistics and seeds, which are no weights that gradients change."""
    return keras.Sequential(
        [
            keras.Input([4], name="x"),
            layers.Dense(units, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(dropout),
            layers.Dense(outputs, activation="softmax"),
        ]
    )


def module(make: Callable[[], keras.Model], rate: float, **hooks: Any) -> Any:
    return SimpleNamespace(
        build_model=lambda inputs_spec, hp: make(), optimizer=lambda hp: keras.optimizers.Adam(rate), **hooks
    )


def split(name: str) -> Split:
    return Split(name, {"x": tf.constant(CLASSES[name]["x"])}, tf.constant(CLASSES[name][LABEL]))


def run(
    folder: Path,
    make: Callable[[], keras.Model] = network,
    rate: float = 0.0,
    path: Path | None = None,
    epochs: int = 1,
    **hooks: Any,
) -> tuple[keras.Model, TrainingRecord]:
    """With the rate 0 a training leaves the weights as they are, but for the statistics of batches."""
    folder.mkdir(exist_ok=True)
    settings = TrainerSettings(epochs=epochs, batch_size=16)
    warm_start = path and weights_file.find(str(path))
    training = Training(
        module(make, rate, **hooks), INPUTS, "multiclass", settings, split("train"), split("eval"), warm_start
    )
    return train(training, tf.distribute.get_strategy(), folder / "checkpoints", str(folder))


def of_dense(model: keras.Model) -> list[np.ndarray]:
    return [weight for layer in model.layers if isinstance(layer, layers.Dense) for weight in layer.get_weights()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    """A folder with a trained model in each form that there is, and the model."""
    folder = tmp_path_factory.mktemp("trained")
    model, _ = run(folder, rate=0.05)
    model.save(folder / "whole.keras")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model.call, input_signature=[tf.TensorSpec([None, 4])])
    archive.write_out(str(folder / "model" / "Format-Serving"), verbose=False)
    return folder, model


@pytest.mark.parametrize("form", [".", "whole.keras", "model"])
def test_training_begins_with_the_weights_at_a_path(
    trained: tuple[Path, keras.Model], form: str, tmp_path: Path
) -> None:
    folder, model = trained
    begun, record = run(tmp_path, path=folder / form)
    for found, expected in zip(of_dense(begun), of_dense(model), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert record.warm_start == str(weights_file.find(str(folder / form)))


def test_statistics_of_batches_are_taken_and_seeds_are_not(trained: tuple[Path, keras.Model], tmp_path: Path) -> None:
    folder, model = trained
    seen: list[list[np.ndarray]] = []

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            seen.append([variable.numpy() for variable in self.model.variables])

    for path in (folder / "model", None):
        run(tmp_path, path=path, callbacks=lambda hp: [Look()])
    weights, at_first = ([variable for variable in found if variable.dtype == np.float32] for found in seen)
    for found, expected in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert not np.array_equal(weights[0], at_first[0])
    for found, expected in zip(*([v for v in one if v.dtype != np.float32] for one in seen), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("form", ["best.weights.h5", "whole.keras", "model"])
def test_weights_that_do_not_fit_are_refused_with_both_shapes(
    trained: tuple[Path, keras.Model], form: str, tmp_path: Path
) -> None:
    path = trained[0] / form

    def message(make: Callable[[], keras.Model]) -> str:
        with pytest.raises(InputError) as caught:
            run(tmp_path, make, path=path)
        return str(caught.value)

    assert re.search(
        r"dense_1\S* is \[5, 4\] in the model of build_model, and \[5, 3\] in", message(lambda: network(outputs=4))
    )
    deeper = message(lambda: keras.Sequential([*network().layers, layers.Dense(3, use_bias=False)]))
    assert re.search(r"the model of build_model has \S*dense_2\S* \[3, 3\], and \S+ has nothing for it", deeper)
    shallower = message(lambda: keras.Sequential([keras.Input([4]), layers.Dense(3, activation="softmax")]))
    assert "All weights have to fit." in shallower


def test_layers_without_weights_may_differ(trained: tuple[Path, keras.Model], tmp_path: Path) -> None:
    begun, _ = run(tmp_path, lambda: network(dropout=0.0), path=trained[0] / "model")
    np.testing.assert_array_equal(of_dense(begun)[1], of_dense(trained[1])[1])


def test_resumed_training_goes_on_from_its_checkpoint(trained: tuple[Path, keras.Model], tmp_path: Path) -> None:
    source = tmp_path / "first.weights.h5"
    source.write_bytes((trained[0] / "best.weights.h5").read_bytes())
    whole, _ = run(tmp_path / "whole", rate=0.01, path=source, epochs=2)

    class Fail(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path / "killed", rate=0.01, path=source, epochs=2, callbacks=lambda hp: [Fail()])
    keras.backend.clear_session()
    other = network()
    other.save_weights(source)
    resumed, record = run(tmp_path / "killed", rate=0.01, path=source, epochs=2)
    for found, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert record.warm_start == str(source)


def test_parts_of_a_sharded_layer_are_set_to_those_of_the_whole() -> None:
    inputs = keras.Input([4])
    model = keras.Model(inputs, sharded(layers.Dense(3), ["CPU:0", "CPU:0"])(layers.Dense(2)(inputs)))
    whole = [np.full(shape, 0.5) + np.arange(shape[-1]) for shape in ([4, 2], [2], [2, 3], [3])]
    set_whole_weights(model, whole)
    for found, expected in zip(whole_weights(model), whole, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert [weight.shape for weight in model.weights][2:] == [(2, 2), (2, 1), (2,), (1,)]


def test_the_fingerprint_is_of_the_weights_and_of_nothing_else(
    trained: tuple[Path, keras.Model], tmp_path: Path
) -> None:
    folder, _ = trained
    copy = tmp_path / "copy.weights.h5"
    copy.write_bytes((folder / "best.weights.h5").read_bytes())
    before = weights_file.fingerprint(str(copy))
    assert weights_file.find(str(folder)) == folder / "best.weights.h5"
    assert weights_file.fingerprint(str(folder)) == before
    keras.backend.clear_session()
    network().save_weights(copy)
    assert weights_file.fingerprint(str(copy)) != before
    assert weights_file.fingerprint(str(folder / "model")) == weights_file.fingerprint(
        str(folder / "model" / "Format-Serving")
    )


def test_what_holds_no_weights_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "weights.txt").touch()
    broken = tmp_path / "broken.weights.h5"
    broken.write_text("no HDF5")
    for path, expected in (("none", "there is no"), ("weights.txt", "holds no weights"), (".", "no trained weights")):
        with pytest.raises(InputError, match=f"trainer.warm_start: .*{expected}.*; expected .*a .weights.h5 or .keras"):
            weights_file.find(str(tmp_path / path))
    with pytest.raises(InputError, match="cannot be read as Keras' weights"):
        run(tmp_path, path=broken)


SOURCE = """
def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4]), layers.Dense(3, activation="softmax")])

def optimizer(hp):
    return keras.optimizers.SGD(hp["rate"])
"""


def test_trainer_begins_with_its_base_model(tmp_path: Path) -> None:
    data = small_training.write(tmp_path, CLASSES, X, KEYS)
    first = small_training.train(tmp_path / "first", data, SOURCE, task="multiclass", hyperparameters={"rate": 0.1})
    module_file = tmp_path / "first" / "model.py"

    def component(**channels: BaseChannel) -> Trainer:
        return Trainer(
            **channels,
            module_file=str(module_file),
            module_fingerprint=user_code.fingerprint(str(module_file), user_code.HOOKS),
            task="multiclass",
            label=LABEL,
            settings=TrainerSettings(epochs=1, batch_size=16, hyperparameters={"rate": 0.0}),
        )

    model = next((tmp_path / "first" / "artifacts").glob("Trainer/model/*"))
    ran = run_component(tmp_path / "second", component, {**data, "base_model": Given(Model, str(model))})
    saved = tf.saved_model.load(str(Path(ran.uri("model"), "Format-Serving")))
    for found, expected in zip(saved.variables, first.saved_model.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
    record = TrainingRecord.load(ran.uri("model_run"))
    assert record is not None
    assert record.warm_start == str(model / "Format-Serving")
