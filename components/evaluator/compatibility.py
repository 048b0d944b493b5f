"""Whether the blessed model can be compared with: whether it reads the data and answers in the candidate's shape.

After a change of columns, types or classes it does not, and TFMA would fail in every run from then on.
"""

import logging

import tensorflow as tf
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

from components import dataset
from components.signatures import examples_signature

log = logging.getLogger("slipway.evaluator")

_EXAMPLES = 10


def can_compare(input_dict: dict[str, list[Artifact]], split: str) -> bool:
    """Asks both models about a few examples of the split; tells the user why the blessed one is left out, if it is."""
    baselines = input_dict.get("baseline_model") or []
    if not baselines:
        return True
    records = next(iter(dataset.records(input_dict["examples"], split).batch(_EXAMPLES)))
    candidate, baseline = (path_utils.serving_model_path(model.uri) for model in (input_dict["model"][0], baselines[0]))
    signature, other = examples_signature(candidate), examples_signature(baseline)
    if other != signature:  # TFMA asks both by the same
        log.warning("The blessed model is not compared with: it is asked by %s, this one by %s.", other, signature)
        return False
    expected = _shapes(candidate, signature, records)
    try:
        answer = _shapes(baseline, signature, records)
    except (tf.errors.OpError, KeyError, ValueError, TypeError) as error:
        log.warning("The blessed model cannot read this data and is not compared with: %s", str(error).splitlines()[0])
        return False
    if answer != expected:
        log.warning("The blessed model is not compared with: it answers %s, this one %s.", answer, expected)
        return False
    return True


def _shapes(saved_model: str, signature: str, records: tf.Tensor) -> dict[str, list[int]]:
    """Of what the model answers about one of the records, by the name of the output."""
    function = tf.saved_model.load(saved_model).signatures[signature]
    [name] = function.structured_input_signature[1]
    return {output: [*value.shape[1:]] for output, value in function(**{name: records}).items()}
