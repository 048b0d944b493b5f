"""A real TFX pipeline of four nodes, a diamond, in which each does what a file of its name says.

It runs in processes that a fork server has forked: that server imports TFX once, and no TensorFlow runs in it, as it is
in a process of the `slipway` command.
"""

import dataclasses
import multiprocessing
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import tfx.v1 as tfx
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.dsl.compiler.compiler import Compiler
from tfx.proto.orchestration import pipeline_pb2
from tfx.types.standard_artifacts import Examples, Model

from lineage.lock import RunLock
from lineage.outcome import GateRefused
from lineage.runs import Node, Run, find_run
from lineage.store import create_store, open_store, pipeline_root
from pipeline.config import loads
from pipeline.fingerprint import run_inputs
from runners import local
from runners.partial import partial
from runners.plan import plan
from tests import forked

NODES = ("ExampleGen", "StatisticsGen", "Transform", "Trainer")
YAML = """
name: small
task: regression
data: {format: csv, path: "*.csv", label: y}
evaluator: {thresholds: {mean_absolute_error: {max: 1}}}
"""


def behave(node_id: str, folder: str) -> None:
    """`meet OTHER`: wait for the other node; `fail`; `fail once`; `refuse`; `hang`; `hold MB`."""
    path = Path(folder)
    (path / f"{node_id}.pid").write_text(str(os.getpid()))
    what, _, argument = (path / node_id).read_text().partition(" ") if (path / node_id).exists() else ("", "", "")
    if what == "meet":
        deadline = time.monotonic() + 60
        while not (path / f"{argument}.pid").exists():
            assert time.monotonic() < deadline, f"{argument} does not run beside {node_id}"
            time.sleep(0.01)
    elif what == "fail":
        if argument == "once":
            (path / node_id).unlink()
        raise ValueError(f"{node_id} was made to fail")
    elif what == "refuse":
        raise GateRefused(f"{node_id} was made to refuse")
    elif what in ("hang", "hold"):
        held = b"1" * (int(argument or 0) * 1_000_000)
        time.sleep(600 + len(held) * 0)


@tfx.dsl.components.component
def Make(examples: tfx.dsl.components.OutputArtifact[Examples], folder: tfx.dsl.components.Parameter[str]):  # noqa: N802
    """The root."""
    Path(examples.uri, "data").write_text("made")
    behave("ExampleGen", folder)


@tfx.dsl.components.component
def Change(  # noqa: N802
    examples: tfx.dsl.components.InputArtifact[Examples],
    changed: tfx.dsl.components.OutputArtifact[Examples],
    node_id: tfx.dsl.components.Parameter[str],
    folder: tfx.dsl.components.Parameter[str],
):
    """A branch."""
    Path(changed.uri, "data").write_text(Path(examples.uri, "data").read_text() + node_id)
    behave(node_id, folder)


@tfx.dsl.components.component
def Train(  # noqa: N802
    one: tfx.dsl.components.InputArtifact[Examples],
    other: tfx.dsl.components.InputArtifact[Examples],
    model: tfx.dsl.components.OutputArtifact[Model],
    folder: tfx.dsl.components.Parameter[str],
):
    """Where the branches meet."""
    Path(model.uri, "data").write_text(Path(one.uri, "data").read_text() + Path(other.uri, "data").read_text())
    behave("Trainer", folder)


def compiled(root: Path, folder: Path) -> pipeline_pb2.Pipeline:
    make = Make(folder=str(folder)).with_id("ExampleGen")
    branches = [
        Change(examples=make.outputs["examples"], node_id=node_id, folder=str(folder)).with_id(node_id)
        for node_id in ("StatisticsGen", "Transform")
    ]
    one, other = (branch.outputs["changed"] for branch in branches)
    train = Train(one=one, other=other, folder=str(folder)).with_id("Trainer")
    return Compiler().compile(
        tfx.dsl.Pipeline(
            "small",
            str(pipeline_root(root, "small")),
            components=[make, *branches, train],
            enable_cache=True,
        )
    )


class Silent:
    """An observer."""

    def began(self, node_ids: list[str]) -> None: ...

    def node_started(self, node_id: str) -> None: ...

    def node_finished(self, node: Node) -> None: ...

    def node_kept(self, node: Node) -> None: ...


def drive(
    root: Path, folder: Path, overrides: Sequence[str], first: str, force: bool, environment: Mapping[str, str]
) -> None:
    """In the child: as `slipway run`, or with `first` as `slipway rerun --from`; ends with its exit code."""
    os.environ.update(environment)  # the fork server has that of the moment in which it began
    config = loads(YAML, folder, tuple(overrides))
    part = partial(find_run(create_store(root), root, None), first, None) if first else None
    planned = plan(config, root, run_inputs(config), partial=part, force=force)
    with RunLock(root, planned.run_id), local.sigterm_as_exit():
        failure = local.drive(planned, compiled(root, folder), Silent())
    raise SystemExit(failure.exit_code if failure else 0)


@dataclasses.dataclass(frozen=True)
class Small:
    """The pipeline in a folder of its own."""

    root: Path
    folder: Path

    def start(self, *overrides: str, first: str = "", force: bool = False) -> "multiprocessing.process.BaseProcess":
        arguments = (self.root, self.folder, overrides, first, force, dict(os.environ))
        process = forked.context().Process(target=drive, args=arguments)
        process.start()
        return process

    def run(self, *overrides: str, first: str = "", force: bool = False) -> int | None:
        """The exit code."""
        process = self.start(*overrides, first=first, force=force)
        process.join(120)
        return process.exitcode

    def let(self, node_id: str, do: str) -> None:
        """Says what a node does from now on."""
        (self.folder / node_id).write_text(do)

    def latest(self) -> Run:
        return find_run(open_store(self.root), self.root, None)

    def states(self) -> dict[str, str]:
        return {node.id: str(node.state) for node in self.latest().nodes}

    def executions(self, node_id: str) -> list[mlmd.Execution]:
        """All of a node, oldest first."""
        store = open_store(self.root)
        context = store.get_context_by_type_and_name("node", f"small.{node_id}")
        return sorted(store.get_executions_by_context(context.id), key=lambda found: found.id)

    def pid(self, node_id: str, seconds: float = 60) -> int:
        """Waits until the node runs."""
        path, deadline = self.folder / f"{node_id}.pid", time.monotonic() + seconds
        while not path.exists() or not path.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return int(path.read_text())

    def outputs(self) -> list[str]:
        """What the Trainer made, in all runs."""
        return sorted(path.read_text() for path in pipeline_root(self.root, "small").glob("Trainer/model/*/data"))
