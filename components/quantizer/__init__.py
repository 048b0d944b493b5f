"""Makes the quantized TFLite model and refuses it when it is too much worse than the float model."""
