"""Three runs of a chain, with real folders: each makes data and a model, the first one's is blessed and pushed."""

from pathlib import Path

from ml_metadata.metadata_store import MetadataStore

from lineage.outcome import State
from lineage.recording import NewRun, begin_run, finish_run
from lineage.store import pipeline_root
from tests.lineage.executions import PIPELINE, Output, execute

NODES = ["Make", "Train", "Evaluate", "Push"]


def record(store: MetadataStore, root: Path, run_id: str, epochs: int, served: bool = False) -> dict[str, int]:
    """Records a run that is complete; returns the ids of its artifacts by type."""
    config = {"trainer": {"epochs": epochs}, "name": PIPELINE}
    inputs = {"config": config, "code": "same", "data": ["one"]}
    edges = [("Make", "Train"), ("Train", "Evaluate"), ("Evaluate", "Push")]
    begin_run(store, root, run_id, NewRun(PIPELINE, "same", "", NODES, edges, inputs, place="/project"))

    def output(node: str, kind: str, **properties: str | int) -> Output:
        folder = pipeline_root(root, PIPELINE) / node / kind / run_id
        folder.mkdir(parents=True)
        (folder / "data").write_text(run_id * 100)
        return Output(kind, kind.lower(), str(folder), properties)

    _, [examples] = execute(store, run_id, "Make", outputs=[output("Make", "Examples")])
    _, [model] = execute(store, run_id, "Train", outputs=[output("Train", "Model")], inputs=[examples])
    blessing = output("Evaluate", "ModelBlessing", blessed=int(served))
    _, [blessed] = execute(store, run_id, "Evaluate", outputs=[blessing], inputs=[model, examples])
    ids = {"Examples": examples, "Model": model, "ModelBlessing": blessed}
    if served:
        version = root / "serving" / PIPELINE / "1"
        version.mkdir(parents=True)
        (version / "model.tflite").write_text("served")
        pushed = output("Push", "PushedModel", pushed_destination=str(version))
        _, [ids["PushedModel"]] = execute(store, run_id, "Push", outputs=[pushed], inputs=[model, blessed])
    finish_run(store, run_id, State.COMPLETE, "")
    return ids
