"""The next of 32,768 words after four others, with a custom op as the loss over so many classes."""

import keras
from keras import layers

import custom_ops

VOCABULARY = 32_768


def build_model(inputs_spec, hp):
    """Numbers of words [batch, 4] to logits [batch, 32768]; what is exported answers with probabilities."""
    context = inputs_spec["context"]
    return keras.Sequential(
        [
            keras.Input(context.shape[1:], name="context", dtype=context.dtype.name),
            layers.Embedding(VOCABULARY, hp["embedding"]),
            layers.Flatten(),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dropout(hp["dropout"]),
            layers.Dense(VOCABULARY),
        ]
    )


def optimizer(hp):
    """Adam with the learning rate of pipeline.yaml."""
    return keras.optimizers.Adam(hp["learning_rate"])


def loss(hp):
    """Crossentropy with smoothed labels, by one op over the logits."""
    return custom_ops.SmoothedCrossentropy(label_smoothing=hp["label_smoothing"])
