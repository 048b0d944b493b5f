"""A small gRPC client of one served model, for our embedded server and for TensorFlow Serving alike."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import grpc
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.model import DEFAULT_SIGNATURE, Array
from serving.tensors import from_proto, to_proto

_AVAILABLE = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE
_POLL_SECONDS = 0.1
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Client:
    """Asks one model on one server; a context manager that closes its channel.

    Args:
        address: "host:port" of the gRPC endpoint.
        name: the model's name on that server.

    Example:
        with Client(address="localhost:8500", name="digits") as client:
            client.wait_until_ready(timeout=30)
            client.predict({"image": images})["predictions"]  # float32 [batch, 10]
    """

    def __init__(self, *, address: str, name: str) -> None:
        self.address = address
        self._name = name
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self, inputs: Mapping[str, Array], *, signature: str = DEFAULT_SIGNATURE, timeout: float = 60.0
    ) -> dict[str, Array]:
        """Sends one request.

        Args:
            inputs: an array for each input of the signature, in its dtype (strings as `bytes`) and shape.
            signature: which of the model's signatures to call.
            timeout: seconds to wait for the answer.

        Returns:
            Every output of the signature by name; the arrays are read-only.

        Raises:
            grpc.RpcError: the server refused or could not be reached; `code()` and `details()` say why.
        """
        request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name=self._name, signature_name=signature))
        for name, array in inputs.items():
            request.inputs[name].CopyFrom(to_proto(array))
        response = self._prediction.Predict(request, timeout=timeout)
        return {name: from_proto(proto) for name, proto in response.outputs.items()}

    def wait_until_ready(self, timeout: float) -> None:
        """Returns once a version of the model is AVAILABLE; raises TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        last = "no answer"
        while (left := deadline - time.monotonic()) > 0:
            try:
                if self._is_available(left):
                    return
                last = "the model is still loading"
            except grpc.RpcError as error:
                last = f"{error.code().name}: {error.details()}"
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"Model {self._name} was not ready after {timeout:g} s; last: {last}.")

    def _is_available(self, timeout: float) -> bool:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_pb2.ModelSpec(name=self._name))
        response = self._model.GetModelStatus(request, timeout=timeout, wait_for_ready=True)
        return any(status.state == _AVAILABLE for status in response.model_version_status)

    def close(self) -> None:
        """Closes the channel; the client cannot be used afterwards."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
