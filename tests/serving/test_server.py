"""The embedded server as a real process: answers, errors, start and end."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.client import Client
from serving.process import ServerError, ServerProcess
from tests.serving.small_model import example, export_small_model, raw_inputs

ROW = ([1.0, 2.0, 3.0, 4.0], 5, [b"a", b"b"])


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 2 (weight 2) and 10 (weight 10), and what a server has to ignore."""
    folder = tmp_path_factory.mktemp("served") / "small"
    export_small_model(folder / "2", weight=2.0)
    export_small_model(folder / "10", weight=10.0)
    (folder / "latest").mkdir()
    (folder / ".push" / "99").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(name="small", base_path=base_path, log_file=base_path.parent / "server.log") as process:
        process.connect(timeout=60).close()
        yield process


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[Client]:
    with server.connect(timeout=60) as connected:
        yield connected


@pytest.fixture(scope="module")
def stub(server: ServerProcess) -> Iterator[prediction_service_pb2_grpc.PredictionServiceStub]:
    """TensorFlow Serving's own client stub."""
    with grpc.insecure_channel(server.connect(timeout=60).address) as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def refusal(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    return error.code(), error.details()


def test_newest_version_answers_what_its_weights_say(client: Client) -> None:
    """10 * (1 + 2 + 3 + 4) + 2 words, 10 * 5 + 2 words: weights set by hand."""
    np.testing.assert_array_equal(client.predict(raw_inputs(*ROW))["predictions"], [[102.0, 52.0]])


def test_other_signature_is_called_by_name(client: Client) -> None:
    inputs = {"examples": np.array([example(*ROW), example([0.0] * 4, 1, [])], object)}
    outputs = client.predict(inputs, signature="serve_examples")
    assert outputs["predictions"].dtype == np.float32
    np.testing.assert_array_equal(outputs["predictions"], [[102.0, 52.0], [0.0, 10.0]])


def test_batch_larger_than_grpc_default_message_passes(client: Client) -> None:
    """Two million floats are 8 MB; gRPC's default limit is 4 MB."""
    rows = 500_000
    inputs = {
        "pixels": np.ones([rows, 4], np.float32),
        "count": np.zeros([rows, 1], np.int64),
        "words": np.zeros([rows, 0], object),
    }
    predictions = client.predict(inputs)["predictions"]
    np.testing.assert_array_equal(predictions, np.tile(np.float32([[40.0, 0.0]]), [rows, 1]))


def test_request_as_tensorflow_clients_encode_it(stub: prediction_service_pb2_grpc.PredictionServiceStub) -> None:
    """make_tensor_proto stores one-element tensors as float_val, not as bytes; no signature is named."""
    request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name="small"), output_filter=["predictions"])
    for name, array in raw_inputs(*ROW).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    response = stub.Predict(request)
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["predictions"]), [[102.0, 52.0]])
    assert (response.model_spec.version.value, response.model_spec.signature_name) == (10, "serving_default")


def test_metadata_names_the_signatures(stub: prediction_service_pb2_grpc.PredictionServiceStub) -> None:
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=model_pb2.ModelSpec(name="small"), metadata_field=["signature_def"]
    )
    signatures = get_model_metadata_pb2.SignatureDefMap()
    stub.GetModelMetadata(request).metadata["signature_def"].Unpack(signatures)
    assert set(signatures.signature_def) == {"serving_default", "serve_examples"}
    inputs = signatures.signature_def["serving_default"].inputs
    assert {name: info.dtype for name, info in inputs.items()} == {
        "pixels": tf.float32.as_datatype_enum,
        "count": tf.int64.as_datatype_enum,
        "words": tf.string.as_datatype_enum,
    }


def test_unknown_model_is_not_found(server: ServerProcess) -> None:
    with (
        Client(address=server.connect(timeout=60).address, name="nobody") as client,
        pytest.raises(grpc.RpcError) as caught,
    ):
        client.predict(raw_inputs(*ROW))
    code, details = refusal(caught.value)
    assert code == grpc.StatusCode.NOT_FOUND
    assert "Latest(nobody)" in details


def test_version_that_is_not_loaded_is_not_found(stub: prediction_service_pb2_grpc.PredictionServiceStub) -> None:
    request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name="small"))
    request.model_spec.version.value = 2
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request)
    assert refusal(caught.value)[0] == grpc.StatusCode.NOT_FOUND
    assert "Specific(small, 2)" in refusal(caught.value)[1]


def test_unknown_signature_has_the_code_of_tensorflow_serving(client: Client) -> None:
    """FAILED_PRECONDITION: predict_impl.cc of TensorFlow Serving."""
    with pytest.raises(grpc.RpcError) as caught:
        client.predict(raw_inputs(*ROW), signature="classify")
    code, details = refusal(caught.value)
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert 'Serving signature key "classify" not found' in details
    assert "serve_examples, serving_default" in details


@pytest.mark.parametrize(
    "wrong",
    [
        {"pixels": None},
        {"pixels": np.zeros([1, 3], np.float32)},
        {"pixels": np.zeros([1, 4], np.float64)},
        {"colour": np.zeros([1, 4], np.float32)},
    ],
    ids=["missing", "shape", "dtype", "extra"],
)
def test_wrong_inputs_are_told_what_is_expected(client: Client, wrong: dict[str, np.ndarray | None]) -> None:
    inputs = {name: array for name, array in {**raw_inputs(*ROW), **wrong}.items() if array is not None}
    with pytest.raises(grpc.RpcError) as caught:
        client.predict(inputs)
    code, details = refusal(caught.value)
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "expected {count: int64 [-1, 1]; pixels: float32 [-1, 4]; words: string [-1, -1]}" in details


def test_bytes_that_do_not_fill_the_shape_are_an_invalid_argument(
    stub: prediction_service_pb2_grpc.PredictionServiceStub,
) -> None:
    request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name="small"))
    request.inputs["pixels"].CopyFrom(tf.make_tensor_proto(np.zeros([1, 4], np.float32)))
    request.inputs["pixels"].tensor_content = b"1234567"
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request)
    assert refusal(caught.value)[0] == grpc.StatusCode.INVALID_ARGUMENT


def test_what_the_graph_refuses_is_an_invalid_argument(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client.predict({"examples": np.array([b"not an example"], object)}, signature="serve_examples")
    assert refusal(caught.value)[0] == grpc.StatusCode.INVALID_ARGUMENT
    np.testing.assert_array_equal(client.predict(raw_inputs(*ROW))["predictions"], [[102.0, 52.0]])


def test_sigterm_ends_it_with_exit_code_0(base_path: Path, tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "serving.server", "--name", "small", "--base-path", str(base_path)]
    process = subprocess.Popen([*command, "--port", "0", "--port-file", str(port_file)], env=environment())
    try:
        while not port_file.exists():
            assert process.poll() is None
            time.sleep(0.05)
        with Client(address=f"127.0.0.1:{port_file.read_text()}", name="small") as client:
            client.wait_until_ready(timeout=30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("damage", "said"),
    [("empty", "No version under"), ("garbage", "saved_model.pb"), ("no variables", "variables")],
)
def test_server_that_cannot_load_says_why_and_ends(base_path: Path, tmp_path: Path, damage: str, said: str) -> None:
    folder = tmp_path / "broken"
    if damage != "empty":
        (folder / "1" / "variables").mkdir(parents=True)
        whole = (base_path / "2" / "saved_model.pb").read_bytes()
        (folder / "1" / "saved_model.pb").write_bytes(b"garbage" if damage == "garbage" else whole)
    with (
        ServerProcess(name="small", base_path=folder, log_file=tmp_path / "log") as process,
        pytest.raises(ServerError, match=rf"ended with exit code 1\..*Cannot serve small.*{said}"),
    ):
        process.connect(timeout=60)


def test_taken_port_is_said(base_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "serving.server", "--name", "small", "--base-path", str(base_path)]
        ended = subprocess.run([*command, "--port", str(port)], env=environment(), capture_output=True, text=True)
    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr.splitlines()[-1]


def test_server_is_gone_after_the_block_and_after_an_error_in_it(base_path: Path, tmp_path: Path) -> None:
    process = ServerProcess(name="small", base_path=base_path, log_file=tmp_path / "log")

    def fail_inside() -> None:
        with process:
            process.connect(timeout=60).close()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert not is_running(process.pid)


def test_server_ends_when_the_process_that_started_it_is_killed(base_path: Path, tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from serving.process import ServerProcess
        with ServerProcess(name="small", base_path=Path({str(base_path)!r}), log_file=Path("log")) as server:
            server.connect(timeout=60)
            print(server.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert ended.returncode == -signal.SIGKILL
    for _ in range(100):
        if not is_running(int(ended.stdout)):
            return
        time.sleep(0.1)
    pytest.fail("the server still runs 10 s after its parent was killed")


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than an entry that nobody has waited for."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
