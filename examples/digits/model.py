"""A small CNN for 28x28 handwritten digits; pixels come as 0..255."""

import keras
from keras import layers


def build_model(inputs_spec, hp):
    """Images [batch, 28, 28, 1] in 0..255 to probabilities [batch, 10]."""
    return keras.Sequential(
        [
            keras.Input(inputs_spec["image"].shape[1:], name="image"),
            layers.Rescaling(1 / 255),
            layers.RandomTranslation(0.08, 0.08),
            layers.Conv2D(hp["filters"], 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(2 * hp["filters"], 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(hp["dropout"]),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
