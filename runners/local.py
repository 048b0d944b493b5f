"""The local runner: the nodes of a run one after another, in this process."""

import dataclasses
import logging
import shutil
import traceback
from pathlib import Path
from typing import Protocol

from lineage.lock import RunLock
from lineage.outcome import ExitCode, State
from lineage.report import render
from lineage.runs import Node, Run
from runners import verbs
from runners.failure import Failure, explain
from runners.interrupt import Interrupt
from runners.plan import Plan

log = logging.getLogger("slipway.runner")


class Observer(Protocol):
    """Is told how the run goes on."""

    def began(self, node_ids: list[str]) -> None:
        """The run begins with these nodes, in this order."""

    def node_started(self, node_id: str) -> None:
        """A node is being run."""

    def node_finished(self, node: Node) -> None:
        """A node has ended, well or not."""

    def node_kept(self, node: Node) -> None:
        """A node had ended well before the run was interrupted."""


@dataclasses.dataclass(frozen=True)
class Result:
    """A finished run, and its report."""

    run: Run
    exit_code: ExitCode
    report: Path


def run(plan: Plan, observer: Observer) -> Result:
    """Runs the planned run to its end; a failure of the work is a result, not an exception.

    KeyboardInterrupt passes through and leaves a run that can be continued.
    """
    with RunLock(plan.root, plan.run_id):
        begun = verbs.begin(plan)
        observer.began(begun.node_ids)
        failure = _run_nodes(begun, observer, str(plan.config.resolve(plan.config.model)))
        ended = (failure.state, failure.message) if failure else (State.COMPLETE, "")
        finished = verbs.end(begun, *ended)
    if not plan.config.schema_file:
        _write_schema_for_review(finished)
    report = finished.folder / "report.html"
    render(finished, report)
    return Result(finished, failure.exit_code if failure else ExitCode.DONE, report)


def _run_nodes(begun: verbs.Begun, observer: Observer, user_file: str) -> Failure | None:
    for node_id in begun.node_ids:
        if (done := verbs.done_before(begun, node_id)) is not None:
            observer.node_kept(done)
            continue
        observer.node_started(node_id)
        with Interrupt() as interrupt:
            try:
                observer.node_finished(verbs.node(begun, node_id))
            except Exception as error:
                if interrupt.seen:
                    raise KeyboardInterrupt from error
                traceback.print_exc()  # goes to the run's log
                failure = explain(error, user_file)
                observer.node_finished(dataclasses.replace(verbs.recorded(begun, node_id), state=failure.state))
                prefix = "" if failure.message.startswith(node_id) else f"{node_id}: "
                return dataclasses.replace(failure, message=f"{prefix}{failure.message}")
    return None


def _write_schema_for_review(run: Run) -> None:
    for schema in run.artifacts("Schema")[:1]:
        target = run.folder / "schema.pbtxt"
        shutil.copyfile(Path(schema.uri) / "schema.pbtxt", target)
        log.info("The schema was inferred. Review %s, keep it beside your pipeline, and name it as `schema`.", target)
