"""Whether the blessed model can be compared with: whether it reads the data and answers in the candidate's shape.

After a change of columns, types or classes it does not, and TFMA would fail in every run from then on.
"""

import logging
from typing import Any

import tensorflow as tf
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

from components import dataset

log = logging.getLogger("slipway.evaluator")

_SIGNATURE = "serve_examples"
_EXAMPLES = 10


def can_compare(input_dict: dict[str, list[Artifact]], split: str) -> bool:
    """Asks both models about a few examples of the split; tells the user why the blessed one is left out, if it is."""
    baselines = input_dict.get("baseline_model") or []
    if not baselines:
        return True
    records = next(iter(dataset.records(input_dict["examples"], split).batch(_EXAMPLES)))
    expected = _answer(input_dict["model"][0], records)
    try:
        answer = _answer(baselines[0], records)
    except (tf.errors.OpError, KeyError, ValueError, TypeError) as error:
        log.warning("The blessed model cannot read this data and is not compared with: %s", str(error).splitlines()[0])
        return False
    if answer.shape != expected.shape:
        shapes = f"{answer.shape[1:]} where this one answers {expected.shape[1:]}"
        log.warning("The blessed model is not compared with: it answers %s values.", shapes)
        return False
    return True


def _answer(model: Artifact, records: tf.Tensor) -> Any:
    loaded = tf.saved_model.load(path_utils.serving_model_path(model.uri))
    return loaded.signatures[_SIGNATURE](examples=records)["predictions"].numpy()
