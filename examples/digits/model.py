"""A small CNN for 28x28 handwritten digits; pixels come as 0..255."""

import keras
from keras import layers

import custom_ops


def build_model(inputs_spec, hp):
    """Images [batch, 28, 28, 1] in 0..255 to probabilities [batch, 10]."""
    return keras.Sequential(
        [
            keras.Input(inputs_spec["image"].shape[1:], name="image"),
            layers.Rescaling(1 / 255),
            layers.RandomTranslation(0.08, 0.08),
            layers.RandomRotation(0.03),
            layers.RandomZoom(0.1),
            *_convolution(hp["filters"]),
            layers.MaxPooling2D(),
            *_convolution(2 * hp["filters"]),
            layers.MaxPooling2D(),
            *_convolution(2 * hp["filters"]),
            layers.Flatten(),
            layers.Dropout(hp["dropout"]),
            custom_ops.FusedDense(10, activation="softmax"),
        ]
    )


def optimizer(hp):
    """Adam whose learning rate falls to zero over `decay_steps`."""
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(hp["learning_rate"], hp["decay_steps"]))


def _convolution(filters):
    return [
        layers.Conv2D(filters, 3, padding="same", use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
    ]
