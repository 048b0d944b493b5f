"""Trains the user's Keras model and exports it for serving, evaluation and quantization."""
