"""What an artifact is made of, and in what two runs differ."""

from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore

from lineage.ancestry import Ancestor, ancestry
from lineage.diff import Difference, differences
from lineage.outcome import InputError
from lineage.runs import find_run
from tests.lineage.three_runs import record


def shape(found: Ancestor) -> tuple[str, str, list[object]]:
    return found.type, found.node, [shape(one) for one in found.inputs]


def test_a_served_file_leads_back_to_the_data(store: MetadataStore, root: Path) -> None:
    ids = record(store, root, "r1", epochs=1, served=True)
    examples: tuple[str, str, list[object]] = ("Examples", "Make", [])
    model = ("Model", "Train", [examples])
    blessing = ("ModelBlessing", "Evaluate", [examples, model])
    found = ancestry(store, str(root / "serving" / "digits" / "1" / "model.tflite"))
    assert shape(found) == ("PushedModel", "Push", [model, blessing])
    assert found.run == "r1"
    assert shape(ancestry(store, str(ids["Model"]))) == model
    assert shape(ancestry(store, f"{found.inputs[0].uri}/data")) == model
    for absent in ("99", str(root / "absent")):
        with pytest.raises(InputError, match=f"No artifact {absent} is recorded"):
            ancestry(store, absent)


def test_runs_differ_in_what_went_in(store: MetadataStore, root: Path) -> None:
    record(store, root, "r1", epochs=3)
    record(store, root, "r2", epochs=8)
    one, other = (find_run(store, root, run_id) for run_id in ("r1", "r2"))
    assert differences(one, other) == [Difference("config", "trainer.epochs", "3", "8")]
    assert differences(one, one) == []
