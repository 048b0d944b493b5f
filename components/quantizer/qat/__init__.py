"""Quantization-aware training: fine-tuning with the rounding of the integer model in the forward pass."""
