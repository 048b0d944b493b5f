"""A real TFX pipeline of two nodes, run like the local runner does it; the second node can be made to hang half-way."""

import sys
import time
from pathlib import Path

import tfx.v1 as tfx
from tfx.dsl.compiler.compiler import Compiler
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable.launcher import Launcher
from tfx.orchestration.portable.runtime_parameter_utils import substitute_runtime_parameter

from lineage.connection import database
from lineage.lock import RunLock
from lineage.recording import NewRun, begin_run
from lineage.store import create_store, pipeline_root

PIPELINE = "two_nodes"
HALF_WRITTEN = "half written"


@tfx.dsl.components.component
def Make(examples: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Examples]):  # noqa: N802
    """Writes one file."""
    Path(examples.uri, "data").write_text("made", encoding="utf-8")


@tfx.dsl.components.component
def Train(  # noqa: N802
    examples: tfx.dsl.components.InputArtifact[tfx.types.standard_artifacts.Examples],
    model: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Model],
    hang: tfx.dsl.components.Parameter[str],
):
    """Writes one file; where the file `hang` exists it says so and never gets further."""
    Path(model.uri, "weights").write_text(HALF_WRITTEN, encoding="utf-8")
    if Path(hang).exists():
        print(HALF_WRITTEN, flush=True)
        time.sleep(600)
    Path(model.uri, "weights").write_text(Path(examples.uri, "data").read_text(encoding="utf-8"), encoding="utf-8")


def run(root: Path, run_id: str, hang: Path, node_ids: tuple[str, ...] = ("Make", "Train")) -> None:
    """Begins (or continues) the run and launches the nodes, all under the run's lock."""
    store = create_store(root)
    make = Make()
    train = Train(examples=make.outputs["examples"], hang=str(hang))
    connection = metadata.sqlite_metadata_connection_config(str(database(root)))
    ir = Compiler().compile(
        tfx.dsl.Pipeline(
            PIPELINE,
            str(pipeline_root(root, PIPELINE)),
            metadata_connection_config=connection,
            components=[make, train],
        )
    )
    substitute_runtime_parameter(ir, {"pipeline-run-id": run_id})
    deployment = runner_utils.extract_local_deployment_config(ir)
    with RunLock(root, run_id):
        begin_run(store, root, run_id, NewRun(PIPELINE, "same", "", ["Make", "Train"], [("Make", "Train")]))
        for node in (node.pipeline_node for node in ir.nodes if node.pipeline_node.node_info.id in node_ids):
            Launcher(
                pipeline_node=node,
                mlmd_connection=metadata.Metadata(connection),
                pipeline_info=ir.pipeline_info,
                pipeline_runtime_spec=ir.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
            ).launch()


def main() -> None:
    """Command line of the child process that the tests kill: ROOT RUN_ID HANG."""
    root, run_id, hang = sys.argv[1:]
    run(Path(root), run_id, Path(hang))
