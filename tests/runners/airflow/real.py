"""A real Airflow with a home folder of its own, which runs a pipeline from its DAG file: the small one, or another."""

import contextlib
import dataclasses
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self

import psutil

from components.trainer.cluster import free_ports
from tests.runners.airflow.environment import environment

_CHECKOUT = Path(__file__).parents[3]
_DONE = ("success", "failed")


@dataclasses.dataclass
class Airflow:
    """From `with` until its end it schedules what is in the dags folder."""

    version: str
    home: Path
    dags: Path
    pipeline: str = "small"
    parallelism: int = 2

    def __enter__(self) -> Self:
        self._programs = environment(self.version) / "bin"
        self.home.mkdir()
        self._environment = self._settings()
        self.call("db", "migrate")
        self._log: IO[str] = (self.home / "services.log").open("w")
        self._services = [self._start(*command) for command in self._commands()]
        return self

    def __exit__(self, *error: object) -> None:
        family = [psutil.Process(service.pid) for service in self._services if service.poll() is None]
        family += [child for service in family for child in service.children(recursive=True)]
        for service in self._services:
            service.terminate()
        for left in psutil.wait_procs(family, timeout=30)[1]:
            left.kill()
        for service in self._services:
            service.wait()
        self._log.close()

    def call(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The `airflow` command."""
        return subprocess.run(
            [str(self._programs / "airflow"), *arguments],
            env=self._environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def trigger(self, run_id: str, conf: Mapping[str, Any] | None = None) -> None:
        """As soon as the DAG is known."""
        self.wait(f"SELECT 1 FROM dag WHERE dag_id = '{self.pipeline}'")
        done = self.call("dags", "trigger", self.pipeline, "--run-id", run_id, "--conf", json.dumps(conf or {}))
        assert done.returncode == 0, done.stderr

    def ended(self, run_id: str) -> str:
        """Waits for the end of a DAG run; its state."""
        return str(self.wait(f"SELECT state FROM dag_run WHERE run_id = '{run_id}' AND state IN {_DONE}")[0][0])

    def tasks(self, run_id: str) -> dict[str, tuple[str, int]]:
        """State and number of tries of each task."""
        found = self.ask(f"SELECT task_id, state, try_number FROM task_instance WHERE run_id = '{run_id}'")
        return {task: (state, tries) for task, state, tries in found}

    def logs(self, run_id: str, task: str) -> str:
        """What a task has logged, in all its tries."""
        paths = (self.home / "logs").glob(f"dag_id={self.pipeline}/run_id={run_id}/task_id={task}/*.log")
        return "".join(path.read_text() for path in sorted(paths))

    def wait(self, query: str) -> list[Any]:
        """Until the query of Airflow's database finds something."""
        deadline = time.monotonic() + 800  # of a busy machine
        while not (found := self.ask(query)):
            assert time.monotonic() < deadline, f"{query}: {(self.home / 'services.log').read_text()[-4000:]}"
            assert all(service.poll() is None for service in self._services), (self.home / "services.log").read_text()
            time.sleep(0.2)
        return found

    def commands(self) -> list[psutil.Process]:
        """The `slipway` processes that tasks have started and that run now."""
        found: dict[int, psutil.Process] = {}
        for process in [child for one in self._services for child in psutil.Process(one.pid).children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                if any(Path(argument).name == "slipway" for argument in process.cmdline()[:2]):
                    found[process.pid] = process
        return [process for process in found.values() if process.ppid() not in found]  # not what they have forked

    def ask(self, query: str) -> list[Any]:
        """What the query of Airflow's database finds."""
        connection = sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=60)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def _start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [str(self._programs / "airflow"), *arguments],
            env=self._environment,
            cwd=self.home,
            stdout=self._log,
            stderr=self._log,
        )

    def _commands(self) -> list[tuple[str, ...]]:
        if self.version == "2":
            return [("scheduler",)]
        return [("api-server", "--apps", "execution", "--port", self._port), ("dag-processor",), ("scheduler",)]

    def _settings(self) -> dict[str, str]:
        [port] = free_ports(1)
        self._port = str(port)
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of sixty-four bytes at least, for all services are to share",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self._port}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": str(self.parallelism),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            # A task that ends would schedule the next at the same time as the scheduler: then that counts two tries.
            "AIRFLOW__SCHEDULER__SCHEDULE_AFTER_TASK_EXECUTION": "False",
            # Airflow 2 wants PostgreSQL or MySQL for more than one task at a time, which two do not need.
            "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
            "PYTHONPATH": str(_CHECKOUT),  # the small pipeline's nodes are not installed
        }
