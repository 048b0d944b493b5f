"""Trains the user's Keras model and exports it for serving, evaluation and quantization."""

from components.trainer.component import Trainer

__all__ = ["Trainer"]
