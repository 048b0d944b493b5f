"""The gRPC services of TensorFlow Serving (Predict, GetModelMetadata, GetModelStatus) on one loaded model."""

import contextlib
from collections.abc import Iterator

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.model import DEFAULT_SIGNATURE, Array, RequestError, ServedModel
from serving.tensors import from_proto, to_proto

_STATUS = {code.value[0]: code for code in grpc.StatusCode}
_AVAILABLE = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the other methods answer UNIMPLEMENTED."""

    def __init__(self, *, model: ServedModel) -> None:
        self._model = model

    def Predict(  # noqa: N802, the name of the protocol
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Calls the signature that the request names, `serving_default` where it names none."""
        with _status_of_errors(context):
            _check_spec(request.model_spec, self._model)
            signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
            outputs = self._model.predict(signature, _decode(request), list(request.output_filter))
            response = predict_pb2.PredictResponse(model_spec=_spec_of(self._model, signature))
            for name, array in outputs.items():
                response.outputs[name].CopyFrom(to_proto(array))
            return response

    def GetModelMetadata(  # noqa: N802, the name of the protocol
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """The model's signatures, under the only metadata field there is, `signature_def`."""
        with _status_of_errors(context):
            _check_spec(request.model_spec, self._model)
            if list(request.metadata_field) != ["signature_def"]:
                message = f"Metadata field {list(request.metadata_field)} is not supported; ask for signature_def."
                raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
            signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=self._model.signature_defs)
            response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_spec_of(self._model))
            response.metadata["signature_def"].Pack(signatures)
            return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; the model is loaded before the server listens, so its one version is always AVAILABLE."""

    def __init__(self, *, model: ServedModel) -> None:
        self._model = model

    def GetModelStatus(  # noqa: N802, the name of the protocol
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The state of the loaded version."""
        with _status_of_errors(context):
            _check_spec(request.model_spec, self._model)
            version = get_model_status_pb2.ModelVersionStatus(version=self._model.version, state=_AVAILABLE)
            return get_model_status_pb2.GetModelStatusResponse(model_version_status=[version])


@contextlib.contextmanager
def _status_of_errors(context: grpc.ServicerContext) -> Iterator[None]:
    """Answers a refused request, and what TensorFlow raises on its values, with the matching gRPC status."""
    try:
        yield
    except RequestError as error:
        context.abort(error.code, str(error))
    except tf.errors.OpError as error:
        context.abort(_STATUS[error.error_code], error.message)


def _check_spec(spec: model_pb2.ModelSpec, model: ServedModel) -> None:
    asks_version = spec.HasField("version")
    if spec.HasField("version_label"):
        message = f"Unrecognized servable version label: {spec.version_label}; ask by version number."
        raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message)
    if spec.name != model.name or (asks_version and spec.version.value != model.version):
        asked = f"Specific({spec.name}, {spec.version.value})" if asks_version else f"Latest({spec.name})"
        message = f"Servable not found for request: {asked}. This server has {model.name}, version {model.version}."
        raise RequestError(grpc.StatusCode.NOT_FOUND, message)


def _spec_of(model: ServedModel, signature: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=model.name, signature_name=signature)
    spec.version.value = model.version
    return spec


def _decode(request: predict_pb2.PredictRequest) -> dict[str, Array]:
    arrays = {}
    for name, proto in request.inputs.items():
        try:
            arrays[name] = from_proto(proto)
        except (ValueError, TypeError) as error:
            message = f"tensor parsing error: {name}: {error}"
            raise RequestError(grpc.StatusCode.INVALID_ARGUMENT, message) from error
    return arrays
