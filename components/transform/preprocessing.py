"""The `preprocessing_fn` that TFX's Transform imports: it loads the user's file by path and calls theirs.

So the user's code is never packaged into a wheel at run time, and Transform needs no module_file.
"""

from typing import Any

import tensorflow as tf

import custom_ops
from components import user_code
from components.transform import source
from lineage.outcome import InputError


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, Any]:
    """Calls `preprocessing_fn` of the file `custom_config["module_file"]`.

    `custom_config` also carries the fingerprint of the user's source, which only has to be in Transform's cache key,
    the name of the feature that examples are weighted by, if any: it passes as it is, without the user's doing; and,
    when it runs, the user's `source`, for workers on other hosts.

    Raises:
      InputError: the user's function returns something of its own as the weight, or the schema does not say that every
        example has one.
    """
    weight = custom_config.get("weight")
    passed = {} if weight is None else {weight: inputs[weight]}
    sent = custom_config.get("source", {})
    module_file = source.at_hand(custom_config["module_file"], sent)
    module = user_code.load(module_file)
    source.pickle_by_value(module_file, sent)
    with custom_ops.composite():  # it is saved, and runs in other processes and in what is served
        outputs = getattr(module, user_code.PREPROCESSING)(inputs)
    for name, column in passed.items():
        _check_weight(name, column, outputs.get(name, column))
    return {**outputs, **passed}


def _check_weight(name: str, column: Any, returned: Any) -> None:
    if returned is not column:
        raise InputError(
            f"preprocessing_fn returns {name!r}, which is data.weight and passes as it is, so that training and "
            "evaluation weigh alike. Leave it out of what preprocessing_fn returns."
        )
    if isinstance(column, tf.SparseTensor):
        raise InputError(
            f"By the schema {name!r}, which is data.weight, is missing in some examples. Give each of them a weight, "
            "and the feature in the schema `presence { min_fraction: 1 } shape { dim { size: 1 } }`."
        )
