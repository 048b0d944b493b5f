"""A Beam engine of processes that are not ours: a job server, and a pool that starts the workers, as Flink would.

They are told nothing of the user's files: their working directory is empty, and the environment names no folder.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from components.trainer.cluster import free_ports
from runners.parent import end_with_parent

_PROGRAMS = Path(sys.executable).parent


@contextlib.contextmanager
def engine(folder: Path) -> Iterator[list[str]]:
    """`beam.args` for it; at the end, or when this process is killed, nothing of it is left."""
    job_port, pool_port = free_ports(2)
    commands = [
        ("portability.local_job_service_main", "--port", str(job_port), "--staging_dir", str(folder / "staging")),
        ("worker.worker_pool_main", "--service_port", str(pool_port)),
    ]
    with contextlib.ExitStack() as stack:
        for command in commands:
            stack.enter_context(_process(folder, *command))
        for port in (job_port, pool_port):
            _wait_for(port, folder)
        yield [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{job_port}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{pool_port}",
        ]


@contextlib.contextmanager
def _process(folder: Path, module: str, *arguments: str) -> Iterator[None]:
    place = folder / "empty"
    place.mkdir(parents=True, exist_ok=True)
    path = f"{_PROGRAMS}{os.pathsep}{os.environ['PATH']}"  # the pool's workers are the first `python` on it
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PATH": path}
    with (folder / f"{module}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"apache_beam.runners.{module}", *arguments],
            cwd=place,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: end_with_parent(signal.SIGTERM),
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with the workers
            process.wait()


def _wait_for(port: int, folder: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1):
            return
        assert time.monotonic() < deadline, "".join(log.read_text()[-2000:] for log in folder.glob("*.log"))
        time.sleep(0.1)
