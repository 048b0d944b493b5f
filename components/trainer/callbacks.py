"""Keras callbacks that the Trainer brings itself."""

from pathlib import Path

import keras


class Logs(keras.callbacks.Callback):
    """Keeps the logs of an epoch, with what the callbacks before it have put in, such as the learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.of_epoch: dict[str, float] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Takes the logs."""
        self.of_epoch = {name: float(value) for name, value in (logs or {}).items()}


def tensorboard(folder: Path) -> keras.callbacks.Callback:
    """Curves, and histograms of the weights after each epoch."""
    return keras.callbacks.TensorBoard(str(folder), histogram_freq=1, write_graph=False)
