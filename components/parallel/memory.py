"""How many bytes of a training's variables each device holds."""

from collections import Counter
from collections.abc import Iterable

import keras
import tensorflow as tf

from components.parallel.devices import short_name


def bytes_by_device(variables: Iterable[keras.Variable], strategy: tf.distribute.Strategy) -> dict[str, int]:
    """Bytes of variables on each device of this process, by its short name.

    Args:
      variables: Weights and slots; of a mirrored one every replica's copy counts.
      strategy: The one under whose scope they were made.
    """
    found: Counter[str] = Counter()
    for variable in variables:
        for copy in strategy.experimental_local_results(variable.value):
            found[short_name(copy.device)] += copy.dtype.size * copy.shape.num_elements()
    return dict(sorted(found.items()))
