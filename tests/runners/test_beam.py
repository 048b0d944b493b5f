"""Claims about `runner: beam`, on a diamond of four real nodes: what runs, what runs once, and what a crash leaves."""

import functools
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from runners import beam
from runners.nodes import run_node
from tests.runners import small as small_pipeline
from tests.runners.consistent import faults
from tests.runners.small import NODES, Small

ON_BEAM = "runner=beam"
MADE = "madeStatisticsGenmadeTransform"
ONCE = dict.fromkeys(NODES, 1)


def executions(small: Small) -> dict[str, int]:
    return {node_id: len(small.executions(node_id)) for node_id in NODES}


def drive_with_bundles_repeated(root: Path, folder: Path, *others: Any) -> None:
    def written_down(*arguments: Any) -> Any:
        with (folder / "calls").open("a") as file:
            file.write(f"{arguments[-1]}\n")
        return run_node(*arguments)

    beam.FnApiRunner, beam.run_node = functools.partial(FnApiRunner, bundle_repeat=1), written_down
    small_pipeline.drive(root, folder, *others)


def test_every_node_runs_once_in_the_graphs_order_even_where_beam_repeats_it(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(small_pipeline, "drive", drive_with_bundles_repeated)
        assert small.run(ON_BEAM) == 0
    assert sorted((small.folder / "calls").read_text().split()) == sorted(NODES * 2)
    assert small.outputs() == [MADE]
    assert small.latest().runner == "beam"
    assert executions(small) == ONCE
    assert small.run(ON_BEAM, first="Transform") == 0
    assert small.states() == dict(zip(NODES, ("CACHED", "CACHED", "COMPLETE", "COMPLETE"), strict=True))
    assert faults(small.root, "small") == []


def test_a_gate_that_refuses_ends_the_run_and_no_other_node_begins(small: Small) -> None:
    small.let("ExampleGen", "refuse")
    assert small.run(ON_BEAM) == 3
    assert small.latest().state == "REFUSED"
    assert "ExampleGen was made to refuse" in small.latest().reason
    assert set(list(small.states().values())[1:]) == {"PENDING"}


def test_limits_and_retries_hold(small: Small) -> None:
    small.let("ExampleGen", "fail once")
    small.let("Trainer", "hang")
    assert small.run(ON_BEAM, "nodes.ExampleGen.retries=1", "nodes.Trainer.timeout=1") == 1
    assert small.states() == dict(zip(NODES, ("COMPLETE",) * 3 + ("INTERRUPTED",), strict=True))
    assert "was stopped after 1 s, its limit: raise nodes.Trainer.timeout" in small.latest().reason


@pytest.mark.parametrize(("by", "runner"), [(signal.SIGKILL, "beam"), (signal.SIGTERM, "local")])
def test_a_stopped_run_goes_on_whichever_runner_it_had(small: Small, by: signal.Signals, runner: str) -> None:
    small.let("Trainer", "hang")
    process = small.start(ON_BEAM)
    node = psutil.Process(small.pid("Trainer"))
    assert process.pid is not None
    os.kill(process.pid, by)
    node.wait(60)
    process.join(60)
    assert process.exitcode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143}[by]
    stopped = small.latest()
    assert stopped.state == "INTERRUPTED"
    (small.folder / "Trainer").unlink()
    assert small.run(f"runner={runner}") == 0
    run = small.latest()
    assert (run.id, run.state, run.runner) == (stopped.id, "COMPLETE", runner)
    assert executions(small) == ONCE
