"""Starts the embedded server as a child process and makes sure that it is gone afterwards, however the caller ends."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from serving.client import Client

_POLL_SECONDS = 0.05
_TERMINATE_SECONDS = 10.0


class ServerError(Exception):
    """The server process ended, or did not answer in time; the message says which, and its last words."""


class ServerProcess:
    """A server of one model on a free port, as a context manager.

    On leaving the block the process is terminated, after 10 s killed; should this process be killed first, the server
    sees it and ends by itself.

    Args:
        name: the model's name in requests.
        base_path: the folder of its versions.
        log_file: gets everything the server prints.

    Example:
        with ServerProcess(name="digits", base_path=Path("serving/digits"), log_file=Path("server.log")) as server:
            with server.connect(timeout=60) as client:
                client.predict({"image": images})
    """

    def __init__(self, *, name: str, base_path: Path, log_file: Path) -> None:
        self._name = name
        self._base_path = base_path
        self._log_file = log_file

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="slipway-server-")
        self._port_file = Path(self._folder.name) / "port"
        with self._log_file.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=_environment()
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def connect(self, timeout: float) -> Client:
        """A client of the server, once it is ready.

        Raises:
            ServerError: it ended instead, or was not ready after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self._port_file.exists():
            self.check_alive()
            if time.monotonic() > deadline:
                raise ServerError(f"The server was not ready after {timeout:g} s. {self._last_words()}")
            time.sleep(_POLL_SECONDS)
        return Client(address=f"127.0.0.1:{self._port_file.read_text(encoding='ascii')}", name=self._name)

    def check_alive(self) -> None:
        """Raises ServerError if the process has ended."""
        code = self._process.poll()
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise ServerError(f"The server {how}. {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"It said last: {lines[-1]}" if lines else "It said nothing."

    def _command(self) -> list[str]:
        arguments = {
            "--name": self._name,
            "--base-path": str(self._base_path.absolute()),
            "--port": "0",
            "--port-file": str(self._port_file),
            "--parent-pid": str(os.getpid()),
        }
        # -P: a `serving` folder in the current directory, where models are often pushed to, is not our package.
        return [sys.executable, "-P", "-m", "serving.server", *(word for pair in arguments.items() for word in pair)]


def _environment() -> dict[str, str]:
    """This process's environment, with our packages importable and a GPU that is shared rather than taken whole."""
    here = str(Path(__file__).parents[1])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
