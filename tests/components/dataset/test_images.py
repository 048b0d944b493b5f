"""Claims about features of encoded images; what they should decode to comes from Pillow."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types.standard_artifacts import Examples

from components import dataset
from lineage.outcome import InputError
from tests.components import small_data
from tests.components.small_data import fixed, image, several

LABEL = fixed("label", "INT", 1)


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    """An image of uint8 [height, width, 3], or [height, width] for grey, by Pillow."""
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, kind)
        return file.getvalue()


def decoded(image: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(image)) as opened:
        return np.asarray(opened.convert("RGB"))


def pictures(count: int, height: int = 8, width: int = 12) -> list[np.ndarray]:
    """Smooth colours, which jpeg keeps about as they are."""
    ramp = np.linspace(0, 200, height * width * 3).reshape(height, width, 3)
    return [(ramp + 10 * number).astype(np.uint8) for number in range(count)]


def examples(folder: Path, images: list[bytes]) -> Examples:
    rows = {"picture": images, "label": np.arange(len(images))}
    return small_data.artifact(small_data.examples(folder, dict.fromkeys(small_data.SPLITS, rows)))


def spec_of(*features: str) -> dataset.FeatureSpec:
    return dataset.model_spec(text_format.Parse("".join(features), schema_pb2.Schema()), None)


def read(artifact: Examples, cache: dataset.Cache | None = None) -> dataset.AnySplit:
    spec = dataset.with_image_sizes(spec_of(image("picture"), LABEL), [artifact])
    return dataset.read_split([artifact], "train", spec, "label", cache=cache)


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "gif"])
def test_images_are_decoded_to_their_pixels(tmp_path: Path, kind: str) -> None:
    images = [encoded(pixels, kind) for pixels in pictures(5)]
    found = read(examples(tmp_path, images)).take(tf.range(5)).features["picture"]
    assert (found.dtype, found.shape) == (tf.uint8, [5, 8, 12, 3])
    expected = np.stack([decoded(each) for each in images])
    tolerance = 6 if kind == "jpeg" else 0  # decoders differ in how they round its cosines and stretch its colours
    np.testing.assert_allclose(found.numpy().astype(int), expected, atol=tolerance)


def test_grey_images_have_one_channel_and_are_on_disk_what_they_are_in_memory(tmp_path: Path) -> None:
    pixels = [picture[..., 0] for picture in pictures(7)]
    artifact = examples(tmp_path / "examples", [encoded(each, "png") for each in pixels])
    disk = read(artifact, dataset.Cache(tmp_path / "cache", 0))
    assert isinstance(disk, dataset.DiskSplit)
    np.testing.assert_array_equal(disk.take(tf.range(7)).features["picture"], np.stack(pixels)[..., None])


def test_model_is_given_the_pixels(tmp_path: Path) -> None:
    spec = spec_of(image("picture"), LABEL)
    artifact = examples(tmp_path, [encoded(each, "png") for each in pictures(2)])
    inputs = dataset.input_specs(dataset.with_image_sizes(spec, [artifact]), "label")
    assert inputs == {"picture": tf.TensorSpec([None, 8, 12, 3], tf.uint8, name="picture")}


def test_bytes_without_an_image_domain_stay_bytes(tmp_path: Path) -> None:
    images = [encoded(each, "bmp") for each in pictures(3)]
    spec = spec_of(fixed("picture", "BYTES", 1), LABEL)
    split = dataset.read_split([examples(tmp_path, images)], "train", spec, "label")
    assert split.take(tf.range(3)).features["picture"].numpy().ravel().tolist() == images


def test_bytes_that_are_no_image_are_told_by_column_and_record(tmp_path: Path) -> None:
    images = [encoded(each, "png") for each in pictures(130)]
    images[99] = images[99][:40]
    with pytest.raises(InputError, match=r"image picture of record 100 of the split 'train' cannot be decoded: .* 40 "):
        read(examples(tmp_path / "cut", images))
    with pytest.raises(InputError, match=r"of record 1 of the split 'train' .* bytes begin with b'<html>'"):
        read(examples(tmp_path / "text", [b"<html>"]))


def test_image_of_another_size_is_told_with_both_sizes(tmp_path: Path) -> None:
    images = [encoded(each, "png") for each in [*pictures(3), *pictures(1, 9, 12)]]
    with pytest.raises(InputError, match=r"record 4 of the split 'train' is 9 x 12 x 3, expected 8 x 12 x 3"):
        read(examples(tmp_path, images))


def test_image_that_is_missing_in_some_rows_is_refused() -> None:
    with pytest.raises(InputError, match="picture has an image_domain, but not one value in every example"):
        spec_of(several("picture", "BYTES").replace("presence", "image_domain {} presence"), LABEL)
