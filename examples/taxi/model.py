"""Whether a Chicago taxi trip ends in a big tip: tabular features, a wide part beside a deep one."""

import keras
import tensorflow as tf
import tensorflow_transform as tft
from keras import layers

NUMBERS = ("trip_miles", "fare", "trip_seconds")
PLACES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
WORDS = ("payment_type", "company")
CALENDAR = {"trip_start_hour": 24, "trip_start_day": 8, "trip_start_month": 13}
BUCKETS = 10
VOCABULARY = 100
OUT_OF_VOCABULARY = 10
LABEL = "big_tipper"


def preprocessing_fn(inputs):
    """Numbers to z-scores, places to buckets, words to indices of vocabularies; missing values are filled."""
    outputs = {name: tft.scale_to_z_score(_filled(inputs[name])) for name in NUMBERS}
    outputs |= {name: tft.bucketize(_filled(inputs[name]), BUCKETS) for name in PLACES}
    outputs |= {
        name: tft.compute_and_apply_vocabulary(
            _filled(inputs[name]), top_k=VOCABULARY, num_oov_buckets=OUT_OF_VOCABULARY, vocab_filename=name
        )
        for name in WORDS
    }
    outputs |= {name: _filled(inputs[name]) for name in CALENDAR}
    outputs[LABEL] = inputs[LABEL]
    return outputs


def build_model(inputs_spec, hp):
    """Features [batch, 1] to the probability of a big tip, [batch, 1]."""
    inputs = {name: keras.Input(spec.shape[1:], name=name, dtype=spec.dtype.name) for name, spec in inputs_spec.items()}
    sizes = dict.fromkeys(PLACES, BUCKETS) | dict.fromkeys(WORDS, VOCABULARY + OUT_OF_VOCABULARY) | CALENDAR
    embedded = [layers.Flatten()(layers.Embedding(size, hp["embedding"])(inputs[name])) for name, size in sizes.items()]
    hidden = layers.Concatenate()([*(inputs[name] for name in NUMBERS), *embedded])
    for units in (64, 32):
        hidden = layers.Dense(units, activation="relu")(hidden)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))


def optimizer(hp):
    """Adam with the learning rate of pipeline.yaml."""
    return keras.optimizers.Adam(hp["learning_rate"])


def _filled(column):
    """Sparse [batch, <= 1] to dense [batch, 1], with 0 or "" where a value is missing; dense stays as it is."""
    if not isinstance(column, tf.SparseTensor):
        return column
    missing = "" if column.dtype == tf.string else 0
    return tf.sparse.to_dense(tf.SparseTensor(column.indices, column.values, [column.dense_shape[0], 1]), missing)
