"""Whatever is killed under Airflow, whenever: its retries bring the run to the end of one that nobody disturbed."""

import contextlib
import datetime
import random
import time
from pathlib import Path

import psutil
import pytest

from pipeline.config import load
from runners import compiled
from runners.airflow import tasks, write_dag
from tests.runners import small as pipeline
from tests.runners.airflow.real import Airflow
from tests.runners.conftest import project
from tests.runners.consistent import check_undisturbed
from tests.runners.small import NODES, Small

RUNS = 30
SECONDS = 60.0  # less than what a run takes, of several at once


def write(small: Small, to: Path) -> None:
    """A DAG with so many days to make up, of which none takes anything from the cache."""
    since = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=RUNS)
    settings = ('schedule="@daily"', f"start_date={since}", "catchup=true", "max_active_runs=4", "retry_delay=0")
    config = load(str(small.folder), ("nodes.all.retries=2", *(f"airflow.{setting}" for setting in settings)))
    ir = pipeline.compiled(small.root, small.folder)
    for node in ir.nodes:
        node.pipeline_node.execution_options.caching_options.enable_cache = False
    one = compiled.Compiled(config, small.root, ir)
    compiled.save(one, to)
    write_dag(one, to)


def kill_one(command: psutil.Process, chance: random.Random) -> str:
    """The task's process, the command that it has started, or one of that one's; says which, and of which verb."""
    verbs = [argument for argument in command.cmdline() if argument in ("begin", "node", "end")]
    victims = [("child", child) for child in command.children(recursive=True)] + [("command", command)]
    if task := command.parent():
        victims.append(("task", task))
    which, victim = chance.choice(victims)
    victim.kill()
    return f"{which} of {''.join(verbs)}"


def at_work(command: psutil.Process) -> bool:
    """Whether it has done its imports, by far the longest part of a task of this pipeline, and runs a node."""
    return bool(command.children())


def disturb(airflow: Airflow, chance: random.Random) -> dict[str, str]:
    """Kills a process of each run at some moment of it, until all have ended; what, by run."""
    plans: dict[str, tuple[float, bool]] = {}  # not before this moment; only while it runs a node
    killed: dict[str, str] = {}
    while airflow.ask("SELECT COUNT(*) FROM dag_run WHERE state IN ('success', 'failed')") != [(RUNS,)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            for command in airflow.commands():
                run_id = next((argument for argument in command.cmdline() if argument.startswith("small-")), None)
                if run_id is None:  # it has just ended
                    continue
                if run_id not in plans:
                    plans[run_id] = time.monotonic() + chance.uniform(0, SECONDS), chance.random() < 0.5
                moment, only_at_work = plans[run_id]
                if run_id not in killed and time.monotonic() > moment and (at_work(command) or not only_at_work):
                    killed[run_id] = kill_one(command, chance)
        time.sleep(0.2)
    return killed


@pytest.mark.full
@pytest.mark.timeout(5400)
def test_thirty_runs_of_which_something_is_killed_end_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "_CHEAP", frozenset(NODES[1:]))
    small = project(tmp_path)
    write(small, tmp_path / "compiled")
    with Airflow("2", tmp_path / "home", tmp_path / "compiled", parallelism=4) as airflow:
        killed = disturb(airflow, random.Random(7))
        states = airflow.ask("SELECT state, COUNT(*) FROM dag_run GROUP BY 1")
    print(killed)
    assert states == [("success", RUNS)], killed
    assert len(killed) >= RUNS / 3
    check_undisturbed(small)
