"""A pipeline whose data comes in spans, and what it takes to run its ExampleGen in processes as small.py has them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.compiler.compiler import Compiler
from tfx.orchestration.pipeline import Pipeline

from lineage.runs import Run
from lineage.store import pipeline_root
from pipeline.config import load
from pipeline.ingest import example_gen
from pipeline.spans import resolve
from runners import compiled, scheduled
from runners.airflow import write_dag
from tests.forked import context
from tests.runners.small import Silent

YAML = """
name: trees
task: regression
data: {format: csv, path: "data/{SPAN}/*.csv", label: height}
evaluator: {thresholds: {mean_absolute_error: {max: 1}}}
"""


def project(place: Path, *spans: int) -> Path:
    """The folder of the pipeline."""
    folder = place / "project"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(YAML)
    (folder / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    for span in spans:
        add(folder, span)
    return folder


def add(folder: Path, span: int) -> None:
    """A span, in all of whose rows the age is its number."""
    path = folder / "data" / str(span) / "trees.csv"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(["age,height", *(f"{span},{height}" for height in range(60))]))


def ages(run: Run) -> set[int]:
    """All that are in the examples of a run."""
    [examples] = run.artifacts("Examples")
    files = [str(file) for file in Path(examples.uri).glob("*/*")]
    records = tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
    features = [tf.train.Example.FromString(record).features.feature for record in records]
    return {int(age) for feature in features for age in feature["age"].int64_list.value}


def apart(work: Callable[..., int], *arguments: Any) -> int:
    """Calls it in a process that may fork, for no TensorFlow has run in it; what it returns, or 1 where it raises."""
    process = context().Process(target=_exit_with, args=(work, *arguments))
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def _exit_with(work: Callable[..., int], *arguments: Any) -> None:
    raise SystemExit(work(*arguments))


def write(folder: Path, root: Path, to: Path, *overrides: str) -> int:
    """As `slipway compile --to airflow`."""
    write_dag(compiled.write(load(str(folder), overrides), root, to), to)
    return 0


def only_example_gen(folder: Path, root: Path, to: Path, *overrides: str) -> int:
    """The same of a pipeline that ends there."""
    config = load(str(folder), overrides)
    ingest = example_gen(resolve(config, root))
    ir = Compiler().compile(
        Pipeline("trees", str(pipeline_root(root, "trees")), components=[ingest], enable_cache=True)
    )
    one = compiled.Compiled(config, root, ir)
    compiled.save(one, to)
    write_dag(one, to)
    return 0


def run(to: Path, run_id: str, span: int | None = None, part: scheduled.Part | None = None) -> int:
    """As `slipway begin` and `slipway node RUN ExampleGen`."""
    begun = scheduled.begin(compiled.read(to), run_id, "test", part, span)
    failure = scheduled.node(begun.root, run_id, ["ExampleGen"], Silent())
    return failure.exit_code if failure else 0
