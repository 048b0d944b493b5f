"""Claims about what a training reads, and from where: it trains the same from disk as from memory, and lists, texts and
images reach the model in training as they do in serving.
"""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorflow_metadata.proto.v0 import schema_pb2

from components import dataset
from components.dataset import AnySplit, Split
from components.infra_validator.component import InfraValidator
from components.quantizer.component import Quantizer
from components.trainer.cache import cache_of
from components.trainer.checkpoint import Checkpoints
from components.trainer.export import export
from components.trainer.settings import TrainerSettings
from components.trainer.strategy import make_strategy
from components.trainer.train import train as train_model
from components.trainer.training import Training
from lineage.outcome import InputError
from lineage.records import InfraRecord, QuantizationRecord
from tests.components import small_data
from tests.components.dataset.columns import on_disk
from tests.components.small_data import LABEL, SPLITS, fixed, image, serialized, several
from tests.components.trainer.resumable import build_model, optimizer, split
from tests.components.trainer.small_training import CLASSES, KEYS, Trained, X, train, transform, write
from tests.tfx_harness import Given, run_component

MIB = 2**20


class InBlocks(Split):
    """A split in memory that is trained on in the order of one on disk."""

    def __init__(self, split: Split, blocks: dataset.Blocks):
        super().__init__(split.name, split.features, split.labels, split.weights)
        object.__setattr__(self, "blocks", blocks)


def weights_after(folder: Path, training_split: AnySplit, validation: AnySplit) -> list[np.ndarray]:
    settings = TrainerSettings(epochs=3, batch_size=16, accumulate=2, strategy="one_device")
    module = SimpleNamespace(build_model=build_model, optimizer=optimizer)
    inputs = {"image": tf.TensorSpec([None, 6, 6, 1], tf.float32, name="image")}
    folder.mkdir()
    training = Training(module, inputs, "multiclass", settings, training_split, validation)  # type: ignore[arg-type]
    trained, _ = train_model(training, make_strategy(settings), folder / "checkpoints", str(folder))
    return [*trained.get_weights()]


def test_training_from_disk_gives_the_weights_of_one_from_memory_bit_for_bit(tmp_path: Path) -> None:
    in_memory, validation = split("train", 0), split("eval", 1)
    disk = on_disk(in_memory, tmp_path / "train", block_rows=10, memory=8000)
    validation_on_disk = on_disk(validation, tmp_path / "eval", block_rows=10, memory=1)
    assert 10 * disk.blocks.window < len(disk), "the permutation is not one of all rows"
    weights = weights_after(tmp_path / "disk", disk, validation_on_disk)
    expected = weights_after(tmp_path / "memory", InBlocks(in_memory, disk.blocks), validation)
    for one, other in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_auto_goes_by_the_memory_there_was_when_the_training_began(tmp_path: Path) -> None:
    settings = TrainerSettings()
    strategy = make_strategy(settings)
    first = cache_of(settings, strategy, tmp_path)
    assert first is not None and 0 < first.most_in_memory < dataset.available_memory()
    Checkpoints(tmp_path, keep=1).note("most_in_memory", "12345")
    again = cache_of(settings, strategy, tmp_path)
    assert again is not None and again.most_in_memory == 12345


def test_settings_say_where_examples_are_held(tmp_path: Path) -> None:
    strategy = make_strategy(TrainerSettings())
    assert cache_of(TrainerSettings(cache="memory"), strategy, tmp_path) is None
    disk = cache_of(TrainerSettings(cache="disk", cache_memory_mb=7), strategy, tmp_path)
    assert disk == dataset.Cache(tmp_path / "examples" / "0", most_in_memory=0, window=7 * MIB)


LINEAR = """
def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4]), layers.Dense({units}, activation="softmax")])
"""


CHECKPOINTS = "artifacts/Trainer/.checkpoints"


def test_examples_on_disk_go_with_the_checkpoints_when_the_training_ends(tmp_path: Path) -> None:
    data = write(tmp_path / "data", CLASSES, X, KEYS)
    trained = train(tmp_path, data, LINEAR.format(units=3), task="multiclass", cache="disk", epochs=1)
    assert trained.record.epochs == 1
    assert [*(tmp_path / CHECKPOINTS).iterdir()] == []


def test_examples_on_disk_go_when_the_training_fails(tmp_path: Path) -> None:
    data = write(tmp_path / "data", CLASSES, X, KEYS)
    with pytest.raises(InputError, match="outputs do not fit the label"):
        train(tmp_path, data, LINEAR.format(units=2), task="multiclass", cache="disk")
    [left] = (tmp_path / CHECKPOINTS).iterdir()
    assert not (left / "examples").exists()


LISTS = {
    "ids": [[3], [1, 2], None, [9, 9, 9], [4]],
    "sizes": [[0.5, 1.5], None, [2.5], [1.0], [2.0, 3.0, 4.0]],
    "words": ["a", "bb", "c", "a", "d"],
    LABEL: [0, 1, 0, 1, 1],
}
LIST_FEATURES = (several("ids", "INT"), several("sizes", "FLOAT"), fixed("words", "BYTES", 1), KEYS)
# What a client sends for the same rows: all of one length, NaN or 0 where an example has no value.
SENT = {
    "ids": np.array([[3, 0, 0], [1, 2, 0], [0, 0, 0], [9, 9, 9], [4, 0, 0]]),
    "sizes": np.array([[0.5, 1.5, np.nan], [np.nan] * 3, [2.5] + [np.nan] * 2, [1] + [np.nan] * 2, [2, 3, 4]], "f"),
    "words": np.array([["a"], ["bb"], ["c"], ["a"], ["d"]], "S"),
}


class Told(keras.Model):
    """Answers with what it was given."""

    def __init__(self, name_of_feature: str):
        super().__init__()
        self.feature = name_of_feature

    def call(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """One feature, of text the length."""
        given = inputs[self.feature]
        return tf.strings.length(given) if given.dtype == tf.string else given


@pytest.mark.parametrize("name", ["ids", "sizes", "words"])
def test_model_is_given_the_same_in_training_and_by_both_ways_of_serving(tmp_path: Path, name: str) -> None:
    schema = text_format.Parse("".join(LIST_FEATURES), schema_pb2.Schema())
    spec = dataset.model_spec(schema, None)
    artifact = small_data.artifact(small_data.examples(tmp_path / "examples", dict.fromkeys(SPLITS, LISTS)))
    given = dataset.read_split([artifact], "train", spec, LABEL).take(tf.range(5)).features
    told = Told(name)
    trained_on = told(given).numpy().astype(np.float32)

    raw = {feature: spec[feature] for feature in ("ids", "sizes", "words")}
    inputs = dataset.input_specs(spec, LABEL)
    export(told, str(tmp_path / "model"), inputs=inputs, spec=spec, raw_spec=raw, transform=None)
    signatures = tf.saved_model.load(str(tmp_path / "model")).signatures
    examples = signatures["serve_examples"](examples=tf.constant(serialized(LISTS)))["predictions"]
    tensors = signatures["serving_default"](**{n: tf.constant(SENT[n]) for n in SENT})["predictions"]
    np.testing.assert_array_equal(examples, trained_on)
    np.testing.assert_array_equal(tensors, trained_on)
    expected = {"ids": SENT["ids"], "sizes": np.nan_to_num(SENT["sizes"]), "words": [[1], [2], [1], [1], [1]]}
    np.testing.assert_array_equal(trained_on, expected[name])


TEXTS = """
def build_model(inputs_spec, hp):
    tags = keras.Input(inputs_spec["tags"].shape[1:], name="tags", dtype="string")
    ids = layers.StringLookup(vocabulary=["good", "bad", "so-so"], mask_token="")(tags)
    embedded = layers.Embedding(5, 4, mask_zero=True)(ids)
    mean = layers.GlobalAveragePooling1D()(embedded)
    return keras.Model({"tags": tags}, layers.Dense(1, activation="sigmoid")(mean))

def optimizer(hp):
    return keras.optimizers.Adam(0.1)
"""


def tagged(seed: int) -> dict[str, Any]:
    """One to three tags, none of them contrary to the label."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 60)
    words = [np.array(["so-so"] * random.integers(0, 3) + [("bad", "good")[label]]) for label in labels]
    return {"tags": words, LABEL: labels}


def test_texts_of_any_number_are_learnt_from_on_disk_and_served(tmp_path: Path) -> None:
    rows = {name: tagged(seed) for seed, name in enumerate(SPLITS)}
    data = write(tmp_path / "data", rows, several("tags", "BYTES"), KEYS)
    trained = train(tmp_path, data, TEXTS, task="binary", cache="disk", epochs=15)
    good, bad = trained.predict(tags=np.array([["good", "so-so"], ["bad", ""]], "S"))[:, 0]
    assert good > 0.9 and bad < 0.1


PICTURES = """
def build_model(inputs_spec, hp):
    pixels = inputs_spec["picture"]
    assert (pixels.dtype.name, pixels.shape[1:]) == ("uint8", (6, 4, 3))
    return keras.Sequential([
        keras.Input(pixels.shape[1:], dtype="uint8", name="picture"),
        layers.Rescaling(1 / 255), layers.Conv2D(8, 3, activation="relu"), layers.Flatten(),
        layers.Dense(2, activation="softmax"),
    ])

def optimizer(hp):
    return keras.optimizers.Adam(0.02)
"""


def png(pixels: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "png")
        return file.getvalue()


def pictures(seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Pixels of forty pictures, red where the label is 1, and the rows with them as png."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 40)
    pixels = random.integers(0, 100, (40, 6, 4, 3)).astype(np.uint8)
    pixels[labels == 1, :, :, 0] += 120
    return pixels, {"picture": [png(each) for each in pixels], LABEL: labels}


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Given], Trained]:
    """The raw inputs, and the model that tells which pictures are red."""
    root = tmp_path_factory.mktemp("red")
    rows = {name: pictures(seed)[1] for seed, name in enumerate(SPLITS)}
    data = write(root / "data", rows, image("picture"), KEYS)
    return data, train(root, data, PICTURES, task="multiclass", epochs=10)


def test_images_are_learnt_from_and_served_as_bytes_and_as_pixels(red: tuple[dict[str, Given], Trained]) -> None:
    trained, (pixels, rows) = red[1], pictures(SPLITS.index("test"))
    told = trained.predict_transformed(picture=pixels)
    assert np.mean(told.argmax(axis=1) == rows[LABEL]) > 0.9
    np.testing.assert_array_equal(trained.predict(picture=[[each] for each in rows["picture"]]), told)
    np.testing.assert_array_equal(trained.predict_examples(serialized(rows)), told)


def test_model_of_images_is_quantized_and_passes_the_serving_check(
    tmp_path: Path, red: tuple[dict[str, Given], Trained]
) -> None:
    data, trained = red
    served = run_component(
        tmp_path,
        lambda **channels: InfraValidator(**channels, requests=2),
        {"model": trained.model, "examples": data["examples"]},
    )
    infra = InfraRecord.load(served.uri("blessing"))
    assert infra is not None and infra.blessed, infra
    quantized = run_component(
        tmp_path,
        lambda **channels: Quantizer(**channels, label=LABEL, task="multiclass"),
        {"model": trained.model, **data},
    )
    record = QuantizationRecord.load(quantized.uri("metrics"))
    assert record is not None and record.examples == 40
    pixels, rows = pictures(SPLITS.index("test"))
    accuracy = np.mean(trained.predict_transformed(picture=pixels).argmax(axis=1) == rows[LABEL])
    assert record.float_value == pytest.approx(accuracy)
    assert record.blessed, record.reasons


RESIZED = """
import tensorflow as tf
import tensorflow_transform as tft

def preprocessing_fn(inputs):
    def resized(png):
        pixels = tf.io.decode_image(png, channels=3, expand_animations=False)
        return tf.io.encode_png(tf.cast(tf.image.resize(pixels, [6, 4], "nearest"), tf.uint8))

    pictures = tf.map_fn(resized, tf.reshape(inputs["picture"], [-1]))
    return {
        "picture": tf.reshape(pictures, [-1, 1]),
        "tags": tft.compute_and_apply_vocabulary(inputs["tags"]),
        "label": inputs["label"],
    }

def build_model(inputs_spec, hp):
    inputs = {name: keras.Input(spec.shape[1:], name=name, dtype=spec.dtype.name) for name, spec in inputs_spec.items()}
    picture = layers.Flatten()(layers.Rescaling(1 / 255)(inputs["picture"]))
    tags = layers.GlobalMaxPooling1D()(layers.Embedding(4, 2)(inputs["tags"]))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Concatenate()([picture, tags])))
"""


def test_preprocessing_fn_brings_images_to_one_size_and_makes_lists_of_numbers_of_lists_of_texts(
    tmp_path: Path,
) -> None:
    """Every other picture is twice as large; resized to the nearest pixel it is the same again."""
    rows = {}
    for seed, name in enumerate(SPLITS):
        pixels, columns = pictures(seed)
        sizes = [png(each if row % 2 else each.repeat(2, 0).repeat(2, 1)) for row, each in enumerate(pixels)]
        rows[name] = columns | {"picture": sizes, "tags": [["b"], None, ["a", "b", "a"], ["c", "a"]] * 10}
    data = write(tmp_path / "data", rows, image("picture"), several("tags", "BYTES"), KEYS)
    trained = train(tmp_path, transform(tmp_path, data, RESIZED), RESIZED, task="multiclass", epochs=1)

    numbers = {"a": 0, "b": 1, "c": 2}  # by how often there are: 30, 20, 10
    tags = np.zeros([40, 3], np.int64)
    for row, words in enumerate(rows["test"]["tags"]):
        tags[row, : len(words or [])] = [numbers[word] for word in words or []]
    expected = trained.predict_transformed(picture=pictures(SPLITS.index("test"))[0], tags=tags)
    assert len(np.unique(expected)) > 30, "the predictions tell the rows apart"
    np.testing.assert_array_equal(trained.predict_examples(serialized(rows["test"])), expected)
    sent = np.array([[*(words or []), "", "", ""][:3] for words in rows["test"]["tags"]], "S")
    np.testing.assert_array_equal(
        trained.predict(picture=[[each] for each in rows["test"]["picture"]], tags=sent), expected
    )
