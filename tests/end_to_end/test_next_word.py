"""The next-word example, fewer rows, one epoch: 32,768 classes through the whole pipeline, a custom op as the loss."""

import math
from collections.abc import Callable

from lineage.records import EvaluationRecord
from lineage.store import open_store
from tests.end_to_end.conftest import Project

VOCABULARY = 32_768


def test_a_vocabulary_of_32768_words_is_learned_with_the_op_and_served(copy_example: Callable[[str], Project]) -> None:
    project = copy_example("next_word")
    project.edit("prepare_data.py", "ROWS = 60_000", "ROWS = 6_000")
    project.edit("pipeline.yaml", "epochs: 5", "epochs: 1")
    project.edit("pipeline.yaml", "batch_size: 256", "batch_size: 64")
    project.edit("pipeline.yaml", "{min: 0.1, min_change: -0.02}", "{min: 0.02}")
    project.edit("pipeline.yaml", "{max: 7.5}", f"{{max: {math.log(VOCABULARY)}}}")
    project.edit("pipeline.yaml", "max_drop: 0.01", "max_drop: 0.03")
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr

    shown = project.show()
    assert shown["state"] == "COMPLETE"
    assert {node["state"] for node in shown["nodes"]} == {"COMPLETE"}
    assert shown["pushed"] == str(project.root / "serving" / "next_word" / "1")
    [model] = open_store(project.root).get_artifacts_by_type("Model")
    assert model.custom_properties["custom_ops"].string_value == shown["custom_ops"] == "custom"

    assert len((project.folder / "data/vocabulary.txt").read_text().splitlines()) == VOCABULARY
    # Nats; who knows nothing has log(32768), 10.4. Probabilities, or it would not be below.
    assert shown["metrics"]["sparse_categorical_crossentropy"] < math.log(VOCABULARY) - 1.5
    [folder] = [
        output["uri"] for node in shown["nodes"] for output in node["artifacts"] if "Evaluation" in output["type"]
    ]
    record = EvaluationRecord.load(folder)
    assert record is not None
    assert record.confusion_matrix is None  # of 32,768 x 32,768
