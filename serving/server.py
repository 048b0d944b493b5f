"""The server process: `python -m serving.server --name digits --base-path serving/digits --port 8500`.

Loads the newest version, then listens on the loopback interface until SIGTERM or SIGINT. It does not watch the folder.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path

import grpc
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.model import ServedModel, load_newest
from serving.service import ModelService, PredictionService

_HOST = "127.0.0.1"
_GRACE_SECONDS = 5.0  # for the requests under way when the server is told to end
_PARENT_POLL_SECONDS = 0.2
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),  # a batch of images passes gRPC's default of 4 MB
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # else a second server on the same port silently takes half of the requests
]


def start(model: ServedModel, port: int) -> tuple[grpc.Server, int]:
    """Starts to listen on `port` (0: any free one); returns the server and the port it really has.

    Raises:
        RuntimeError: the port is taken.
    """
    workers = futures.ThreadPoolExecutor(max_workers=2 * (os.cpu_count() or 1))
    server = grpc.server(workers, options=_OPTIONS)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(model=model), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(model=model), server)
    bound = server.add_insecure_port(f"{_HOST}:{port}")
    server.start()
    return server, bound


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to end; returns the exit code."""
    options = _parse(arguments)
    if options.parent_pid:
        threading.Thread(target=_exit_with_parent, args=(options.parent_pid,), daemon=True).start()
    try:
        model = load_newest(options.name, options.base_path)
        server, port = start(model, options.port)
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        # One line, whatever TensorFlow's message looks like: the starting process reads the last line of the log.
        print(f"Cannot serve {options.name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    print(f"Serving {model.name}, version {model.version}, on {_HOST}:{port}", flush=True)
    if options.port_file:
        _write_port(options.port_file, port)
    ended.wait()
    server.stop(_GRACE_SECONDS).wait()
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.server", description=__doc__)
    parser.add_argument("--name", required=True, help="the model's name in requests")
    parser.add_argument("--base-path", type=Path, required=True, help="holds one folder a version, named by a number")
    parser.add_argument("--port", type=int, required=True, help="gRPC port; 0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once the server answers")
    parser.add_argument("--parent-pid", type=int, help="end when this process, which started the server, has ended")
    return parser.parse_args(arguments)


def _write_port(path: Path, port: int) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(str(port), encoding="ascii")
    partial.rename(path)


def _exit_with_parent(parent_pid: int) -> None:
    """Ends this process once its parent is another one: the kernel hands orphans on, however the parent ended.

    A death signal (PR_SET_PDEATHSIG) would fire when the starting *thread* ends, and a pipe stays open in every other
    child that the parent forked.
    """
    while os.getppid() == parent_pid:
        time.sleep(_PARENT_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
