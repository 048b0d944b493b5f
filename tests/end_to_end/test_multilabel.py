"""Several labels of a row and weighted rows, through a whole run: scikit-learn's digits, three questions about each."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sklearn.datasets
import tensorflow as tf
from pyarrow import parquet

from tests.end_to_end.conftest import Project

LABELS = ["even", "large", "closed"]
YAML = f"""
name: questions
task: multilabel
data:
  format: parquet
  path: "*.parquet"
  label: [{", ".join(LABELS)}]
  weight: copies
trainer: {{epochs: 15, batch_size: 32, accumulate: 2}}
evaluator: {{thresholds: {{auc: {{min: 0.95}}, binary_accuracy: {{min: 0.85}}}}}}
quantizer: {{max_drop: 0.02}}
"""
MODEL = """
import keras
from keras import layers

def preprocessing_fn(inputs):
    return {"pixels": inputs["pixels"] / 16, "label": inputs["label"]}

def build_model(inputs_spec, hp):
    assert {name: spec.shape.as_list() for name, spec in inputs_spec.items()} == {"pixels": [None, 64]}
    return keras.Sequential([keras.Input([64]), layers.Dense(64, "relu"), layers.Dense(3, "sigmoid")])

def optimizer(hp):
    return keras.optimizers.Adam(0.005)
"""


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("questions")
    pixels, digits = sklearn.datasets.load_digits(return_X_y=True)
    copies = np.random.default_rng(0).integers(0, 4, len(digits))
    answers = {"even": digits % 2 == 0, "large": digits > 4, "closed": np.isin(digits, [0, 6, 8, 9])}
    columns = {"pixels": list(pixels.astype(np.float32)), "copies": copies}
    columns |= {name: answer.astype(np.int64) for name, answer in answers.items()}
    parquet.write_table(pa.table(columns), folder / "digits.parquet")
    (folder / "pipeline.yaml").write_text(YAML)
    (folder / "model.py").write_text(MODEL)
    return Project(folder, tmp_path_factory.mktemp("questions_root"))


def test_a_multilabel_model_of_weighted_rows_is_served_and_its_metrics_are_those_of_the_served_model(
    questions: Project,
) -> None:
    done = questions.run()
    assert done.returncode == 0, done.stdout + done.stderr
    shown = questions.show()
    served = tf.saved_model.load(str(questions.root / "serving" / "questions" / "1")).signatures
    assert set(served["serving_default"].structured_input_signature[1]) == {"pixels"}

    [examples] = [a["uri"] for node in shown["nodes"] if node["id"] == "ExampleGen" for a in node["artifacts"]]
    files = [str(file) for file in Path(examples, "Split-test").iterdir()]
    records = list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
    spec = {"label": tf.io.FixedLenFeature([3], tf.int64), "copies": tf.io.FixedLenFeature([1], tf.int64)}
    rows = tf.io.parse_example(records, spec)
    answers = served["serve_examples"](examples=tf.constant(records))["predictions"].numpy() > 0.5
    right = (answers == rows["label"].numpy()).mean(axis=1)
    assert shown["metrics"]["binary_accuracy"] == pytest.approx(np.average(right, weights=rows["copies"][:, 0]))
    assert shown["quantized"]["float_accuracy"] == pytest.approx(shown["metrics"]["binary_accuracy"])
    report = (questions.root / "runs" / shown["run"] / "report.html").read_text()
    assert all(f"<tr><td>{name}</td>" in report for name in LABELS)


def test_outputs_that_do_not_fit_the_labels_are_one_sentence_and_exit_2(questions: Project) -> None:
    questions.edit("model.py", 'layers.Dense(3, "sigmoid")', 'layers.Dense(4, "sigmoid")')
    done = questions.run()
    assert done.returncode == 2
    assert "The model's outputs do not fit the label: they are [batch, 4], the labels [batch, 3]." in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert questions.states()["Transform"] == "CACHED"
