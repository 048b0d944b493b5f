"""Claims about `slipway predict`: what it asks a .tflite file, and what it says of rows that the file cannot take.

The models have weights from which the answers follow by mental arithmetic.
"""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from components.quantizer import convert
from components.quantizer.describe import About, described
from tests.cli.conftest import Slipway
from tests.components import small_data
from tests.components.small_data import fixed


def file_of(built: keras.Model, path: Path, about: About, *features: str) -> Path:
    given = small_data.model(path.parent / path.stem, built, *features)
    path.write_bytes(described(convert.to_float(str(Path(given.uri, "Format-Serving"))), about))
    return path


@pytest.fixture(scope="module")
def price(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 * size + 10 * rooms + 1."""
    size, rooms = keras.Input([1], name="size"), keras.Input([1], name="rooms", dtype="int64")
    last = layers.Dense(1)
    built = keras.Model(
        {"size": size, "rooms": rooms}, last(layers.Concatenate()([size, layers.Rescaling(1.0)(rooms)]))
    )
    last.set_weights([np.array([[2.0], [10.0]]), np.array([1.0])])
    path = tmp_path_factory.mktemp("price") / "model.tflite"
    features = fixed("size", "FLOAT", 1), fixed("rooms", "INT", 1)
    return file_of(built, path, About("regression", "price", ["price"]), *features)


@pytest.fixture(scope="module")
def brightest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Which of the four pixels of a grey image is the brightest."""
    last = layers.Dense(4, activation="softmax", use_bias=False)
    built = keras.Sequential([keras.Input([2, 2, 1], name="image"), layers.Flatten(), last])
    last.set_weights([np.eye(4)])
    path = tmp_path_factory.mktemp("brightest") / "model.tflite"
    about = About("multiclass", "corner", ["north-west", "north-east", "south-west", "south-east"])
    return file_of(built, path, about, fixed("image", "FLOAT", 2, 2, 1))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "rooms,note,size\n3,a,50\n2,b,10.5\n"),
        ("rows.json", '{"instances": [{"size": 50, "rooms": 3}, {"size": 10.5, "rooms": 2}]}'),
        ("rows.json", '{"inputs": {"size": [50, 10.5], "rooms": [3, 2]}}'),
    ],
)
def test_rows_of_each_form_get_the_models_answers(
    name: str, text: str, price: Path, slipway: Slipway, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    assert slipway("predict", price, tmp_path / name).out == "price 131.0000\nprice 42.0000\n"


def test_images_are_named_by_their_classes(brightest: Path, slipway: Slipway, tmp_path: Path) -> None:
    for corner, name in enumerate(("a.png", "b.png")):
        pixels = np.zeros(4, np.uint8)
        pixels[corner + 1] = 2
        Image.fromarray(pixels.reshape(2, 2)).save(tmp_path / name)
    done = slipway("predict", brightest, tmp_path / "a.png", tmp_path / "b.png")
    top = np.exp(2) / (np.exp(2) + 3)
    lines = done.out.splitlines()
    assert lines[0].startswith(f"north-east {top:.4f}  north-west ")
    assert lines[1].startswith(f"south-west {top:.4f}  north-west ")
    shown = json.loads(slipway("predict", brightest, tmp_path / "a.png", "--json").out)
    assert shown["names"][1] == "north-east"
    assert shown["predictions"][0][1] == pytest.approx(top)


def test_one_input_needs_no_name_and_no_tensorflow(brightest: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "cli.main", "predict", str(brightest), "-"]
    rows = '{"instances": [[[[0], [0]], [[0], [9]]]]}'
    done = subprocess.run(command, input=rows, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("south-east 0.9996")
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "ai_edge_litert" in imported
    assert not {"tensorflow", "keras", "tfx"} & imported


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("rows.csv", "size\n50\n", "has size, but no rooms, which the model takes"),
        ("rows.csv", "size,rooms\n50,many\n", "rooms in {} is not 1 whole numbers a row"),
        ("rows.csv", "size,rooms\n", "has no rows below its header"),
        ("rows.json", '{"inputs": {"size": [50], "rooms": [2.5]}}', "rooms in {} is not 1 whole numbers a row"),
        ("rows.json", '{"inputs": {"size": [50, 3], "rooms": [2]}}', "different numbers of values"),
        ("rows.json", '{"rows": []}', 'neither of the forms {"instances"'),
        ("rows.json", "{", "is not JSON"),
        ("rows.txt", "50", "but the model takes no image: it takes"),
    ],
)
def test_rows_that_the_model_cannot_take_are_refused_in_a_sentence(
    name: str, text: str, expected: str, price: Path, slipway: Slipway, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text)
    done = slipway("predict", price, path)
    assert done.code == 2
    assert expected.replace("{}", str(path)) in done.err


def test_image_of_another_size_and_what_is_none_are_refused(brightest: Path, slipway: Slipway, tmp_path: Path) -> None:
    Image.new("L", (3, 2)).save(tmp_path / "wide.png")
    assert "is 3 x 2 pixels, expected 2 x 2" in slipway("predict", brightest, tmp_path / "wide.png").err
    (tmp_path / "text.png").write_text("no image")
    assert "is no image that can be read" in slipway("predict", brightest, tmp_path / "text.png").err
    assert "has no slipway.json" in slipway("predict", tmp_path / "wide.png", tmp_path / "wide.png").err
