"""Nodes on an engine of other processes, which have none of the user's files: what they make, and with whose code."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.compile import compile_pipeline
from pipeline.config import load
from pipeline.fingerprint import run_inputs
from runners import verbs
from runners.plan import plan
from tests.beam_engine import engine

YAML = """
name: small
task: regression
schema: schema.pbtxt
data: {format: csv, path: a.csv, label: y}
evaluator: {thresholds: {mean_absolute_error: {max: 1}}}
"""
SCHEMA = """feature { name: "x" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 1 } } }
feature { name: "y" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 1 } } }
"""
MODEL = """
import beside
import tensorflow as tf
import tensorflow_transform as tft

def preprocessing_fn(inputs):
    [where] = tft.experimental.ptransform_analyzer([inputs["x"]], beside.WorkingDirectory(), [tf.string], [[]])
    return {"x": tft.scale_to_z_score(inputs["x"]), "y": inputs["y"], "where": tf.fill(tf.shape(inputs["x"]), where)}

def build_model(inputs_spec, hp): ...
"""
BESIDE = """
import os
import apache_beam as beam
import numpy as np

def working_directory(columns):
    return os.getcwd()

class WorkingDirectory(beam.PTransform):
    def expand(self, rows):
        found = rows | beam.Map(working_directory) | beam.CombineGlobally(max)
        return found | "Array" >> beam.Map(np.array)
"""


def test_the_users_code_runs_in_workers_that_have_none_of_the_users_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    x = np.arange(100) + 0.5
    rows = "".join(f"{value},{value}\n" for value in x)
    files = {"pipeline.yaml": YAML, "schema.pbtxt": SCHEMA, "model.py": MODEL, "beside.py": BESIDE}
    for name, text in {**files, "a.csv": f"x,y\n{rows}"}.items():
        (project / name).write_text(text)
    monkeypatch.chdir(project)
    own = Path("/proc/self/cwd")  # the project in this process only
    with engine(tmp_path / "engine") as args:
        config = load(str(own), (f"beam.args={args}", "data.path=" + str(project / "a.csv")))
        planned = plan(config, tmp_path / "root", run_inputs(config))
        begun = verbs.begin(planned, compile_pipeline(config, planned.root))
        for node_id in ("ExampleGen", "SchemaImporter", "Transform"):
            made = verbs.node(begun, node_id).artifacts
    [folder] = [artifact.uri for artifact in made if artifact.type == "Examples"]
    splits = {split: examples(Path(folder, f"Split-{split}")) for split in ("train", "eval", "test")}
    y = {split: np.array([one["y"].float_list.value[0] for one in found]) for split, found in splits.items()}
    assert sorted(np.concatenate([*y.values()])) == [*x]
    for split, found in splits.items():
        scaled = [one["x"].float_list.value[0] for one in found]
        np.testing.assert_allclose(scaled, (y[split] - y["train"].mean()) / y["train"].std(), rtol=1e-5)
        assert {one["where"].bytes_list.value[0] for one in found} == {bytes(tmp_path / "engine" / "empty")}


def examples(folder: Path) -> list[dict[str, tf.train.Feature]]:
    records = tf.data.TFRecordDataset([str(file) for file in folder.iterdir()], "GZIP").as_numpy_iterator()
    return [dict(tf.train.Example.FromString(record).features.feature) for record in records]
