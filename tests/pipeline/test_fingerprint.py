"""What a killed run is continued by: the contents of the data, not when it was written."""

import os
from pathlib import Path

from pipeline.config import Config, load
from pipeline.fingerprint import run_fingerprint, run_inputs

YAML = """
name: trees
task: regression
data: {format: csv, path: "*.csv", label: height}
evaluator: {thresholds: {mean_absolute_error: {max: 1}}}
"""


def fingerprint(config: Config) -> str:
    return run_fingerprint(run_inputs(config))


def test_a_fingerprint_goes_by_the_contents_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(YAML)
    (tmp_path / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    (tmp_path / "a.csv").write_text("age,height\n1,2\n")
    (tmp_path / "b.csv").write_text("age,height\n3,4\n")
    config = load(str(tmp_path))
    first, then = fingerprint(config), (tmp_path / "a.csv").stat()
    os.utime(tmp_path / "a.csv", (then.st_atime, then.st_mtime + 1000))
    assert fingerprint(config) == first
    (tmp_path / "a.csv").write_text("age,height\n1,3\n")
    os.utime(tmp_path / "a.csv", (then.st_atime, then.st_mtime))
    assert fingerprint(config) != first


def test_where_one_file_ends_and_the_next_begins_counts(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(YAML)
    (tmp_path / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    config = load(str(tmp_path))
    found = set()
    for one, two in (("x\n1\n", "x\n2\n"), ("x\n1\nx\n", "2\n")):
        (tmp_path / "a.csv").write_text(one)
        (tmp_path / "b.csv").write_text(two)
        found.add(fingerprint(config))
    assert len(found) == 2


def test_a_fingerprint_goes_by_the_weights_that_are_begun_with(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(YAML)
    (tmp_path / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    (tmp_path / "a.csv").write_text("age,height\n1,2\n")
    (tmp_path / "a.weights.h5").write_bytes(b"1")
    config = load(str(tmp_path), ("trainer.warm_start=a.weights.h5",))
    first = fingerprint(config)
    (tmp_path / "a.weights.h5").write_bytes(b"2")
    assert fingerprint(config) != first


def test_limits_of_nodes_are_not_in_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(YAML)
    (tmp_path / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    (tmp_path / "a.csv").write_text("age,height\n1,2\n")
    limited = load(str(tmp_path), ("nodes.Trainer.memory=8GiB", "nodes.all.timeout=60"))
    assert fingerprint(limited) == fingerprint(load(str(tmp_path)))
    assert fingerprint(limited) != fingerprint(load(str(tmp_path), ("trainer.epochs=3",)))
