"""Whether the blessed model can be compared with: whether it reads the data and answers in the candidate's shape.

After a change of columns, types or classes it does not, and TFMA would fail in every run from then on.
"""

import logging
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.types import artifact_utils
from tfx.types.artifact import Artifact
from tfx.utils import path_utils

log = logging.getLogger("slipway.evaluator")

_SIGNATURE = "serve_examples"
_EXAMPLES = 10


def can_compare(input_dict: dict[str, list[Artifact]]) -> bool:
    """Asks both models about a few examples; says to the user why the blessed one is left out, where it is."""
    baselines = input_dict.get("baseline_model") or []
    if not baselines:
        return True
    records = _records(input_dict["examples"])
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


def _records(examples: list[Artifact]) -> tf.Tensor:
    folders = artifact_utils.get_split_uris(examples, "test")
    files = [str(file) for folder in folders for file in sorted(Path(folder).iterdir())]
    return next(iter(tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_EXAMPLES)))


def _answer(model: Artifact, records: tf.Tensor) -> Any:
    loaded = tf.saved_model.load(path_utils.serving_model_path(model.uri))
    return loaded.signatures[_SIGNATURE](examples=records)["predictions"].numpy()
