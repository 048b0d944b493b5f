"""A small MobileNet-like model, written as a user writes one: depthwise separable convolutions, batch norm, relu6."""

import keras
from keras import layers


def build_model(inputs_spec, hp):
    """Images [batch, 28, 28, 1] in 0..255 to probabilities [batch, 10]."""
    images = keras.Input(inputs_spec["image"].shape[1:], name="image")
    maps = _normalized(
        layers.Conv2D(hp["filters"], 3, padding="same", use_bias=False)(layers.Rescaling(1 / 255)(images))
    )
    for filters, strides in ((2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1)):
        maps = _normalized(layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(maps))
        maps = _normalized(layers.Conv2D(filters * hp["filters"], 1, use_bias=False)(maps))
    return keras.Model(images, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(maps)))


def _normalized(maps):
    return layers.ReLU(6.0)(layers.BatchNormalization()(maps))
