"""A root folder with an empty ML Metadata store, as a run finds it, and a finished run in it."""

from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore

from lineage.outcome import State
from lineage.recording import finish_run
from lineage.runs import Run, find_run
from lineage.store import create_store
from tests.lineage.executions import Output, begin, execute
from tests.lineage.recorded import RECORDS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def store(root: Path) -> MetadataStore:
    return create_store(root)


@pytest.fixture
def digits(store: MetadataStore, root: Path, tmp_path: Path) -> Run:
    """A finished run with every record there is, and a pushed version."""
    begin(store, root, "r1", nodes=[*RECORDS, "Pusher"])
    for node, (type_name, record) in RECORDS.items():
        folder = tmp_path / node
        folder.mkdir()
        record.save(str(folder))
        execute(store, "r1", node, outputs=[Output(type_name, "out", str(folder))])
    version = tmp_path / "serving" / "digits" / "3"
    version.mkdir(parents=True)
    (version / "model.tflite").write_bytes(bytes(113_672))
    properties = {"pushed_destination": str(version), "pushed": 1}
    execute(store, "r1", "Pusher", outputs=[Output("PushedModel", "pushed_model", str(tmp_path), properties)])
    finish_run(store, "r1", State.COMPLETE, "")
    return find_run(store, root, "r1")
