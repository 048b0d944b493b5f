"""A small SavedModel with the signatures that trained models are exported with, for tests of what serves them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# What a tf.Example of this model holds: four numbers, one count, any number of words.
PARSING = {
    "pixels": tf.io.FixedLenFeature([4], tf.float32),
    "count": tf.io.FixedLenFeature([1], tf.int64),
    "words": tf.io.RaggedFeature(tf.string),
}
RAW = {
    "pixels": tf.TensorSpec([None, 4], tf.float32, name="pixels"),
    "count": tf.TensorSpec([None, 1], tf.int64, name="count"),
    "words": tf.TensorSpec([None, None], tf.string, name="words"),
}


def same(predictions: tf.Tensor) -> tf.Tensor:
    """Leaves the predictions as they are."""
    return predictions


def export_small_model(folder: Path, *, weight: float = 2.0, spoil: Callable[[tf.Tensor], tf.Tensor] = same) -> None:
    """Exports predictions [batch, 2]: weight * [sum of pixels, count] + number of words, by hand-set weights.

    `spoil` changes the predictions of `serving_default` only, so that the two signatures disagree.
    """
    inputs = keras.Input([6])
    dense = keras.layers.Dense(2)
    model = keras.Model(inputs, dense(inputs))
    dense.set_weights([_kernel(weight), np.zeros(2, np.float32)])

    def serve_raw(raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        words = tf.reduce_sum(tf.cast(raw["words"] != "", tf.float32), axis=1, keepdims=True)
        return {"predictions": model(tf.concat([raw["pixels"], tf.cast(raw["count"], tf.float32), words], axis=1))}

    def serving_default(raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"predictions": spoil(serve_raw(raw)["predictions"])}

    def serve_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, PARSING)
        return serve_raw({**parsed, "words": parsed["words"].to_tensor()})

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", serving_default, input_signature=[RAW])
    archive.add_endpoint(
        "serve_examples", serve_examples, input_signature=[tf.TensorSpec([None], tf.string, name="examples")]
    )
    archive.write_out(str(folder), verbose=False)


def _kernel(weight: float) -> np.ndarray[Any, Any]:
    kernel = np.zeros([6, 2], np.float32)
    kernel[:4, 0] = weight
    kernel[4, 1] = weight
    kernel[5] = 1.0
    return kernel


def raw_inputs(pixels: list[float], count: int, words: list[bytes]) -> dict[str, np.ndarray[Any, Any]]:
    """One row of inputs of `serving_default`."""
    return {
        "pixels": np.array([pixels], np.float32),
        "count": np.array([[count]], np.int64),
        "words": np.array([words], object).reshape(1, len(words)),
    }


def example(pixels: list[float], count: int, words: list[bytes], label: int = 0) -> bytes:
    """The same row as a serialized tf.Example, with a label that the model does not take."""
    features = {
        "pixels": tf.train.Feature(float_list=tf.train.FloatList(value=pixels)),
        "count": tf.train.Feature(int64_list=tf.train.Int64List(value=[count])),
        "words": tf.train.Feature(bytes_list=tf.train.BytesList(value=words)),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
