"""A training over two hosts: `slipway run` on the first, `slipway worker` on the other (here both on this machine)."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from unittest import mock

import psutil
import pytest

from components.trainer.cluster import free_ports
from tests.end_to_end.conftest import Project
from tests.end_to_end.test_regression import make_line
from tests.forked import Forked

SETTINGS = ("--set", "trainer.strategy=multi_worker", "--set", "quantizer.mode=none")


@contextlib.contextmanager
def started(project: Project, verb: str, addresses: list[str], index: int) -> Iterator[Forked]:
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    with mock.patch.dict(os.environ, TF_CONFIG=json.dumps(config)):
        process = project.start_verb(verb, *SETTINGS)
    try:
        yield process
    finally:
        process.kill()


def said(process: Forked) -> str:
    """Without line ends."""
    errors = process.output.with_suffix(".err")
    return " ".join((process.output.read_text() + errors.read_text()).split())


def training_process(parent: int) -> int:
    """The process that `parent` trains in, the only child of its fork server."""
    [found] = [child for server in psutil.Process(parent).children() for child in server.children()]
    return found.pid


def wait_for_checkpoint(project: Project, chief: Forked) -> None:
    while not list(project.root.glob("artifacts/*/Trainer/.checkpoints/*/step-*")):
        assert chief.poll() is None, said(chief)
        time.sleep(0.05)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_line(tmp_path_factory)


def test_a_worker_that_is_killed_comes_back_and_the_run_ends_well(line: Project) -> None:
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    with started(line, "worker", addresses, 1) as worker, started(line, "run", addresses, 0) as chief:
        wait_for_checkpoint(line, chief)
        os.kill(training_process(worker.pid), signal.SIGKILL)
        assert chief.wait(timeout=240) == 0, said(chief)
        assert worker.wait(timeout=240) == 0, said(worker)
    assert "Going on from the last checkpoint (restart 1 of 3)" in said(chief)
    assert "Worker 1 was killed by SIGKILL." in said(worker)
    assert line.show()["metrics"]["mean_absolute_error"] < 0.1


def test_the_pipeline_does_not_run_on_a_host_that_is_not_the_chief(line: Project) -> None:
    with started(line, "run", ["one:2001", "two:2001"], 1) as refused:
        assert refused.wait(timeout=240) == 2
    assert "Start `slipway worker PIPELINE` here." in said(refused)


def test_a_worker_of_a_pipeline_for_one_host_is_refused(line: Project) -> None:
    done = line.slipway("worker", str(line.folder))
    assert done.returncode == 2
    assert "the strategy is auto" in " ".join(done.stderr.split())
