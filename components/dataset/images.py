"""Encoded images: the size that all of them have, and the sentence for one that has another, or is none."""

from typing import Any

import tensorflow as tf
from tfx.types.artifact import Artifact

from components.dataset.decoding import decode_image, records
from components.dataset.spec import FeatureSpec, Image, parser
from lineage.outcome import InputError


def with_image_sizes(spec: FeatureSpec, examples: list[Artifact], split: str = "train") -> FeatureSpec:
    """The spec with the sizes of the images of the split's first example, which all others are to have.

    Raises:
      InputError: one of them is not an image.
    """
    images = _images(spec)
    for record in records(examples, split).take(1 if images else 0):
        parsed = tf.io.parse_single_example(record, parser(images))
        return {**spec, **{name: Image(_shape(parsed[name], name, split, 1)) for name in images}}
    return spec


def check_images(spec: FeatureSpec, examples: list[Artifact], split: str) -> None:
    """Looks at each example of a split that could not be decoded.

    Raises:
      InputError: there is one whose image is none, or of another size than the spec says.
    """
    images = _images(spec)
    for number, record in enumerate(records(examples, split).take(-1 if images else 0), start=1):
        parsed = tf.io.parse_single_example(record, parser(images))
        for name, image in images.items():
            shape = _shape(parsed[name], name, split, number)
            if shape != image.shape:
                raise InputError(
                    f"The image {name} of record {number:,} of the split {split!r} is {_said(shape)}, expected "
                    f"{_said(image.shape)} (height x width x channels) as of the first of the split train: a model "
                    "takes images of one size. Resize them in preprocessing_fn, or before."
                )


def _images(spec: FeatureSpec) -> dict[str, Image]:
    return {name: feature for name, feature in spec.items() if isinstance(feature, Image)}


def _shape(encoded: tf.Tensor, name: str, split: str, number: int) -> Any:
    try:
        return tuple(decode_image(encoded).shape)
    except tf.errors.InvalidArgumentError:
        found = encoded.numpy()
        raise InputError(
            f"The image {name} of record {number:,} of the split {split!r} cannot be decoded: its {len(found):,} bytes "
            f"begin with {found[:8]!r}; expected a whole png, jpeg, bmp or gif. Correct the data, or take image_domain "
            "out of the schema."
        ) from None


def _said(shape: tuple[int | None, ...]) -> str:
    return " x ".join(map(str, shape))
