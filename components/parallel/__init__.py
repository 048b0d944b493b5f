"""Layers on devices of your choice, and layers sharded over devices, for models that one device cannot hold.

Example, in model.py:
  from components.parallel import placed, sharded

  x = sharded(layers.Embedding(1_000_000, 256))(inputs)
  x = placed(layers.LSTM(512), "GPU:1")(x)
"""

from components.parallel.placed import placed
from components.parallel.sharded import sharded

__all__ = ["placed", "sharded"]
