"""One loaded version of a SavedModel: its signatures, what they accept, and a call by name; no network in here.

What is wrong with a request is a `RequestError` with the status code that TensorFlow Serving answers.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from serving.versions import find_versions

Array = np.ndarray[Any, Any]
DEFAULT_SIGNATURE = "serving_default"


class RequestError(Exception):
    """The request cannot be answered: `code` is the gRPC status, the message is for the caller."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class ServedModel:
    """A SavedModel in memory.

    Args:
        name: the name that requests ask for.
        version: the number of its folder.
        folder: holds `saved_model.pb`.

    Raises:
        OSError, tf.errors.OpError, ValueError: the folder holds no SavedModel that this TensorFlow can load.
    """

    def __init__(self, *, name: str, version: int, folder: Path) -> None:
        self.name = name
        self.version = version
        # The functions hold the variables weakly: the loaded object has to live as long as they do.
        self._loaded = tf.saved_model.load(str(folder))
        self.signature_defs = _read_signature_defs(folder)
        self._functions = dict(self._loaded.signatures)
        self._inputs = {key: _specs(self.signature_defs[key].inputs) for key in self._functions}

    def predict(self, signature: str, inputs: Mapping[str, Array], outputs: Collection[str] = ()) -> dict[str, Array]:
        """Calls a signature.

        Args:
            signature: its name, such as "serving_default".
            inputs: one array for each of its inputs, of the signature's dtype and shape.
            outputs: the names wanted; empty for all.

        Raises:
            RequestError: FAILED_PRECONDITION for a signature the model lacks, INVALID_ARGUMENT for wrong inputs or
                outputs.
            tf.errors.OpError: what the graph itself answers to these values.
        """
        function = self._function(signature)
        self._check_inputs(signature, inputs)
        self._check_outputs(signature, outputs)
        results = function(**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: value.numpy() for name, value in results.items() if not outputs or name in outputs}

    def _function(self, signature: str) -> Any:
        if signature not in self._functions:
            known = ", ".join(sorted(self._functions)) or "none"
            message = f'Serving signature key "{signature}" not found. Model {self.name} has: {known}.'
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, message)
        return self._functions[signature]

    def _check_inputs(self, signature: str, inputs: Mapping[str, Array]) -> None:
        specs = self._inputs[signature]
        fits = inputs.keys() == specs.keys() and all(_fits(array, specs[name]) for name, array in inputs.items())
        if not fits:
            received = "; ".join(f"{name}: {_dtype(array).name} {list(array.shape)}" for name, array in inputs.items())
            expected = "; ".join(f"{name}: {spec.dtype.name} {_shape(spec)}" for name, spec in specs.items())
            message = f'Inputs do not fit signature "{signature}". Received {{{received}}}, expected {{{expected}}}.'
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)

    def _check_outputs(self, signature: str, outputs: Collection[str]) -> None:
        known = self.signature_defs[signature].outputs
        unknown = sorted(set(outputs) - set(known))
        if unknown:
            message = (
                f"output tensor alias not found in signature: {unknown[0]}. "
                f"Outputs expected to be in the set {{{','.join(sorted(known))}}}."
            )
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)


def load_newest(name: str, base_path: Path) -> ServedModel:
    """Loads the highest version under `base_path`.

    Raises:
        FileNotFoundError: there is no version; otherwise as ServedModel.
    """
    versions = find_versions(base_path)
    if not versions:
        raise FileNotFoundError(f"No version under {base_path}: expected a folder such as {base_path / '1'}.")
    version = max(versions)
    return ServedModel(name=name, version=version, folder=versions[version])


def _read_signature_defs(folder: Path) -> dict[str, meta_graph_pb2.SignatureDef]:
    """The signatures of the `serve` graph as saved; the function that initialises the graph is not one of them."""
    saved_model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graphs = [graph for graph in saved_model.meta_graphs if "serve" in graph.meta_info_def.tags]
    if not graphs:
        raise ValueError(f"{folder} has no graph with the tag 'serve'.")
    return {key: value for key, value in graphs[0].signature_def.items() if not key.startswith("__saved_model")}


def _specs(infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, tf.TensorSpec]:
    ordered = sorted(infos.items())
    return {name: tf.TensorSpec(tf.TensorShape(info.tensor_shape), info.dtype) for name, info in ordered}


def _dtype(array: Array) -> tf.DType:
    return tf.string if array.dtype.kind in "OSU" else tf.as_dtype(array.dtype)


def _fits(array: Array, spec: tf.TensorSpec) -> bool:
    return bool(_dtype(array) == spec.dtype and spec.shape.is_compatible_with(array.shape))


def _shape(spec: tf.TensorSpec) -> str:
    return "of any shape" if spec.shape.rank is None else str([-1 if d is None else d for d in spec.shape])
