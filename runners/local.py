"""A run from its plan to its report: the three verbs, driven by a runner that lives in this process."""

import contextlib
import dataclasses
import logging
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from tfx.proto.orchestration import pipeline_pb2

from lineage.lock import RunLock
from lineage.outcome import ExitCode, State
from lineage.recording import BEAM
from lineage.report import render
from lineage.runs import Run
from lineage.store import REPORT
from pipeline.config import Config
from runners import verbs
from runners.failure import Failure
from runners.nodes import Observer, run_nodes
from runners.plan import Plan

log = logging.getLogger("slipway.runner")


@dataclasses.dataclass(frozen=True)
class Result:
    """A run that has ended, or was interrupted, and its report."""

    run: Run
    exit_code: ExitCode
    report: Path


def run(plan: Plan, observer: Observer) -> Result:
    """Runs the planned run to its end; a failure of the work is a result, not an exception.

    KeyboardInterrupt, and SIGTERM as SystemExit, pass through and leave a run that can be continued.
    """
    with RunLock(plan.root, plan.run_id), sigterm_as_exit():
        failure = drive(plan, _compiled(plan), observer)
    finished = verbs.load(plan.root, plan.run_id).read()
    if not plan.config.schema_file:
        _write_schema_for_review(finished)
    report = finished.folder / REPORT
    render(finished, report)
    return Result(finished, failure.exit_code if failure else ExitCode.DONE, report)


def drive(plan: Plan, compiled: pipeline_pb2.Pipeline, observer: Observer) -> Failure | None:
    """The three verbs on a compiled pipeline, under the run's lock; returns how a run ended that is not complete."""
    begun = verbs.begin(plan, compiled)
    failure = _nodes_of(plan.runner)(begun, plan.config, observer)
    verbs.end(begun, *((failure.state, failure.message) if failure else (State.COMPLETE, "")))
    return failure


@contextlib.contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """SIGTERM as SystemExit, so that nodes are asked to end before this process does."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _compiled(plan: Plan) -> pipeline_pb2.Pipeline:
    if plan.made:
        return verbs.template(plan.root, plan.made)
    from runners.compiled import compile_apart  # brings TensorFlow and Beam

    return compile_apart(plan.config, plan.root)


def _nodes_of(runner: str) -> Callable[[verbs.Begun, Config, Observer], Failure | None]:
    if runner == BEAM:
        from runners import beam  # brings Beam

        return beam.run_nodes
    return run_nodes


def _write_schema_for_review(run: Run) -> None:
    for schema in run.artifacts("Schema")[:1]:
        target = run.folder / "schema.pbtxt"
        shutil.copyfile(Path(schema.uri) / "schema.pbtxt", target)
        log.info("The schema was inferred. Review %s, keep it beside your pipeline, and name it as `schema`.", target)
