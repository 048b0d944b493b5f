"""A SavedModel as a TensorFlow.js graph model: float32, for pages that have TensorFlow.js anyway.

The converter, tensorflowjs, imports packages for what else it can do; some do not go together with this TensorFlow.
While it is imported empty modules stand for them: nothing of them is called here.
"""

import contextlib
import io
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from lineage.outcome import InputError

_SIGNATURE = "transformed"  # as the Trainer exports it: takes what the model itself takes
_NOT_CALLED = (
    "jax",
    "jax.experimental",
    "jax.experimental.jax2tf",
    "tensorflow_decision_forests",
    "tensorflow_hub",
    "tf_keras",
)


def export_tfjs(saved_model: Path, folder: Path) -> None:
    """Writes `model.json` and the weights beside it.

    The graph model takes and gives by name what the signature `transformed` does; the batch is dynamic.

    Args:
      saved_model: Folder of a version that was pushed.
      folder: New, or empty.

    Raises:
      InputError: there is something in the folder, or TensorFlow.js cannot have the model.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there and not empty. Name a new folder for the TensorFlow.js model.")
    with _empty_modules(_NOT_CALLED):
        from tensorflowjs.converters.tf_saved_model_conversion_v2 import convert_tf_saved_model
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it says which file it writes
            convert_tf_saved_model(
                str(saved_model), str(folder), signature_def=_SIGNATURE, use_structured_outputs_names=True
            )
    except (ValueError, tf.errors.OpError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"TensorFlow.js cannot have {saved_model}: {reason}. Serve it, or use its .tflite.") from error


@contextlib.contextmanager
def _empty_modules(names: tuple[str, ...]) -> Iterator[None]:
    """While entered, to import one of `names` that was not imported before gives an empty module."""
    absent = {name: types.ModuleType(name) for name in names if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
