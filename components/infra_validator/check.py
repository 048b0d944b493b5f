"""The serving check: a real server process against the model called directly, request by request."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf

from components.infra_validator.requests import Array, NotServableError, Request, serialized_requests, to_requests
from components.signatures import examples_signature
from lineage.outcome import InputError
from lineage.records import InfraRecord
from serving.client import Client
from serving.model import DEFAULT_SIGNATURE
from serving.process import ServerError, ServerProcess

# Of |served - direct| / max(1, |direct|). Both sides run the same graph on a batch of one, so that they differ by the
# order of float32 sums at most; a wrong cast, scale or order of values shows in the first digits.
TOLERANCE = 1e-4

_NAME = "model"
_START_SECONDS = 180.0


class DirectModel:
    """The exported model in this process.

    Raises:
        NotServableError: it has no `serving_default`, or no signature that takes serialized tf.Examples.
    """

    def __init__(self, saved_model: Path) -> None:
        try:
            self._examples = examples_signature(str(saved_model))
        except InputError as error:
            raise NotServableError(str(error)) from error
        self._loaded = tf.saved_model.load(str(saved_model))
        if DEFAULT_SIGNATURE not in self._loaded.signatures:
            raise NotServableError(f"The model has no signature {DEFAULT_SIGNATURE}.")

    def requests(self, examples: Iterable[bytes], count: int) -> list[Request]:
        """The first examples as `serving_default` takes them: by named features, or serialized."""
        specs = self._signature(DEFAULT_SIGNATURE).structured_input_signature[1]
        if self._examples == DEFAULT_SIGNATURE:
            [name] = specs
            return serialized_requests(examples, name, count)
        return to_requests(examples, specs, count)

    def predict(self, example: bytes) -> dict[str, Array]:
        """Outputs for one serialized tf.Example, as a batch of one; NotServableError where the graph fails on it."""
        try:
            signature = self._signature(self._examples)
            [name] = signature.structured_input_signature[1]
            outputs = signature(**{name: tf.constant([example])})
        except tf.errors.OpError as error:
            message = f"The server answered, but {self._examples} fails on the same example: {error.message}"
            raise NotServableError(message) from error
        return {name: value.numpy() for name, value in outputs.items()}

    def _signature(self, name: str) -> tf.types.experimental.ConcreteFunction:
        return self._loaded.signatures[name]


def check_serving(
    *, saved_model: Path, examples: Iterable[bytes], requests: int, work: Path, log_file: Path
) -> InfraRecord:
    """Serves `saved_model` from the layout that would be pushed and compares the answers.

    Args:
        saved_model: the folder with `saved_model.pb`.
        examples: serialized raw tf.Examples.
        requests: how many of them to send.
        work: an existing folder for the copy.
        log_file: gets the server's output.

    Returns:
        The verdict. `max_difference` is the largest |served - direct| / max(1, |direct|) over all answers. A server
        that does not start, ends, answers an error, or answers something else gives a reason, never an exception.
    """
    differences: list[float] = []
    reasons: list[str] = []
    shutil.copytree(saved_model, work / _NAME / "1")
    try:
        with ServerProcess(name=_NAME, base_path=work / _NAME, log_file=log_file) as server:
            differences.extend(_compare(server, saved_model, examples, requests))
    except (NotServableError, ServerError) as error:
        reasons.append(str(error))
    too_far = [difference for difference in differences if difference > TOLERANCE]
    if too_far:
        reasons.append(
            f"{len(too_far)} of {len(differences)} answers of the server differ from the model called directly, "
            f"by up to {max(too_far):.3g} (allowed: {TOLERANCE:g})."
        )
    return InfraRecord(
        requests=len(differences),
        max_difference=max(differences, default=0.0),
        blessed=not reasons,
        reasons=reasons,
    )


def _compare(server: ServerProcess, saved_model: Path, examples: Iterable[bytes], requests: int) -> Iterator[float]:
    with server.connect(_START_SECONDS) as client:
        model = DirectModel(saved_model)
        for number, request in enumerate(model.requests(examples, requests), start=1):
            served = _ask(server, client, request.inputs)
            yield _difference(served, model.predict(request.example), number)


def _ask(server: ServerProcess, client: Client, inputs: dict[str, Array]) -> dict[str, Array]:
    try:
        return client.predict(inputs)
    except grpc.RpcError as error:
        server.check_alive()
        raise NotServableError(f"The server answered {error.code().name}: {error.details()}") from error


def _difference(served: dict[str, Array], direct: dict[str, Array], number: int) -> float:
    """The largest relative difference of one answer's outputs.

    Raises:
        NotServableError: the answers cannot be compared as numbers.
    """
    shapes, expected = (
        {name: list(array.shape) for name, array in sorted(answer.items())} for answer in (served, direct)
    )
    if shapes != expected:
        raise NotServableError(f"Request {number}: the server answered {shapes}, the model called directly {expected}.")
    if not all(np.isfinite(array).all() for answer in (served, direct) for array in answer.values()):
        raise NotServableError(f"Request {number}: the model predicts NaN or infinity.")
    scaled = (np.abs(served[name] - array) / np.maximum(1, np.abs(array)) for name, array in direct.items())
    return max(float(difference.max(initial=0.0)) for difference in scaled)
