"""Which signature of a SavedModel takes serialized tf.Examples: how the Evaluator and the serving check ask a model.

Reads the file alone, without loading the graph.
"""

from pathlib import Path

from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from lineage.outcome import InputError

SERVING_DEFAULT = "serving_default"
SERVE_EXAMPLES = "serve_examples"
TRANSFORMED = "transformed"  # takes what the model itself takes


def signature_names(saved_model: str) -> list[str]:
    """The signatures of a SavedModel."""
    return sorted(_signatures(saved_model))


def examples_signature(saved_model: str) -> str:
    """`serve_examples`, as the Trainer exports it, else `serving_default`, as TFX's examples write it in `run_fn`.

    Raises:
      InputError: neither takes serialized tf.Examples.
    """
    signatures = _signatures(saved_model)
    for name in (SERVE_EXAMPLES, SERVING_DEFAULT):
        if name in signatures and _takes_examples(signatures[name]):
            return name
    there = ", ".join(sorted(signatures)) or "none"
    raise InputError(
        f"No signature of {saved_model} takes serialized tf.Examples, by which the model is evaluated; it has {there}. "
        f"Export {SERVING_DEFAULT} or {SERVE_EXAMPLES} with one input, tf.TensorSpec([None], tf.string)."
    )


def _signatures(saved_model: str) -> dict[str, meta_graph_pb2.SignatureDef]:
    saved = saved_model_pb2.SavedModel.FromString(Path(saved_model, "saved_model.pb").read_bytes())
    return {
        name: signature
        for name, signature in saved.meta_graphs[0].signature_def.items()
        if not name.startswith("__")  # __saved_model_init_op
    }


def _takes_examples(signature: meta_graph_pb2.SignatureDef) -> bool:
    inputs = [*signature.inputs.values()]
    return len(inputs) == 1 and inputs[0].dtype == types_pb2.DT_STRING and len(inputs[0].tensor_shape.dim) == 1
