"""Claims about what is found wrong before any work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lineage.outcome import InputError
from pipeline import checks
from pipeline.config import load
from pipeline.prepare import prepare

YAML = """
name: trees
task: regression
data: {{format: {format}, path: {path}, label: height, prepare: {prepare}}}
evaluator: {{slices: [{slice}], thresholds: {{mean_absolute_error: {{max: 1}}}}}}
"""


def project(
    folder: Path, kind: str = "csv", path: str = "trees.csv", column: str = "kind", prepare: str = "null"
) -> Path:
    (folder / "pipeline.yaml").write_text(YAML.format(format=kind, path=path, slice=column, prepare=prepare))
    (folder / "model.py").write_text("def preprocessing_fn(inputs): ...\ndef build_model(inputs_spec, hp): ...\n")
    (folder / "trees.csv").write_text("kind,height\noak,3.5\nash,2.0\n")
    return folder


def message(folder: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        checks.check(load(str(folder), overrides))
    return str(caught.value)


def test_a_good_project_passes(tmp_path: Path) -> None:
    checks.check(load(str(project(tmp_path))))


def test_code_without_build_model_is_refused_without_running_it(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "model.py").write_text("raise SystemExit\ndef make_model(): ...\n")
    assert "defines make_model, but not build_model" in message(tmp_path)


def test_a_run_fn_stands_for_build_model_and_reads_text_itself(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "model.py").write_text("def run_fn(fn_args): ...\n")
    told = ("trainer.epochs=2", "trainer.hyperparameters={units: 3}", "trainer.warm_start=latest_blessed")
    checks.check(load(str(tmp_path), told))


def test_settings_that_a_run_fn_cannot_know_of_are_refused(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "model.py").write_text("def run_fn(fn_args): ...\n")
    text = message(tmp_path, "trainer.epochs=2", "trainer.clip_norm=1.0", "trainer.accumulate=1")
    assert "model.py defines run_fn, which trains by itself: trainer.accumulate, trainer.clip_norm would have" in text
    assert "it is told of epochs, batch_size, hyperparameters, seed, warm_start." in text


def test_quantizer_that_trains_needs_a_build_model(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "model.py").write_text("def run_fn(fn_args): ...\n")
    text = message(tmp_path, "quantizer.mode=auto", "quantizer.qat={epochs: 2}")
    assert "model.py defines run_fn, and quantization-aware training goes on with what build_model returns" in text


def test_no_threshold_is_refused(tmp_path: Path) -> None:
    assert "no model could ever be blessed" in message(project(tmp_path), "evaluator.thresholds={}")


def test_a_bound_on_an_unknown_metric_is_refused_and_one_of_evaluator_metrics_is_not(tmp_path: Path) -> None:
    text = message(project(tmp_path), "evaluator.thresholds={auc: {min: 0.7}}")
    assert "evaluator.thresholds: auc is not among the metrics mean_absolute_error, mean_squared_error." in text
    known = ("evaluator.metrics=[MeanSquaredLogarithmicError]",)
    for name in ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"):
        checks.check(load(str(tmp_path), (*known, f"evaluator.thresholds={{{name}: {{max: 1}}}}")))


def test_text_without_a_preprocessing_fn_is_refused_by_its_columns(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    assert message(tmp_path).startswith("kind holds text, and model.py has no preprocessing_fn: ")
    (tmp_path / "trees.csv").write_text("zip,kind,height,place\n00501,oak,3.5,Bonn\n")
    assert message(tmp_path).startswith("kind, place hold text, and model.py")
    checks.check(load(str(tmp_path), ("quantizer.mode=none",)))


def test_which_columns_are_text_is_for_a_curated_schema_to_say(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    (tmp_path / "trees.csv").write_text("kind,zip,height\noak,501,3.5\n")
    height = 'feature { name: "height" type: FLOAT }\n'
    (tmp_path / "schema.pbtxt").write_text(height)
    checks.check(load(str(tmp_path), ("schema=schema.pbtxt",)))
    (tmp_path / "schema.pbtxt").write_text(height + 'feature { name: "zip" type: BYTES }\n')
    assert message(tmp_path, "schema=schema.pbtxt").startswith("zip holds text, ")


def test_text_in_records_is_what_a_curated_schema_calls_bytes_and_no_image(tmp_path: Path) -> None:
    project(tmp_path, "tfrecord", "trees.tfrecord", column="height")
    (tmp_path / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    (tmp_path / "trees.tfrecord").write_bytes(b"twelve bytes and more")
    schema = 'feature {{ name: "height" type: FLOAT }} feature {{ name: "leaf" type: BYTES {} }}'
    (tmp_path / "schema.pbtxt").write_text(schema.format("image_domain {}"))
    checks.check(load(str(tmp_path), ("schema=schema.pbtxt",)))
    (tmp_path / "schema.pbtxt").write_text(schema.format(""))
    assert message(tmp_path, "schema=schema.pbtxt").startswith("leaf holds text, ")


def test_text_that_a_file_with_preprocessing_fn_inside_would_take_is_refused_before_any_work(tmp_path: Path) -> None:
    project(tmp_path)
    inside = "quantizer.include_preprocessing=true"
    expected = "quantizer.include_preprocessing: got text or encoded images in {}, expected numbers, "
    assert message(tmp_path, inside).startswith(expected.format("kind"))
    checks.check(load(str(tmp_path), (inside, "quantizer.mode=none")))
    (tmp_path / "trees.csv").write_text("kind,height,leaf\n1,3.5,AA==\n2,2.0,AA==\n")
    schema = 'feature { name: "height" type: FLOAT } feature { name: "kind" type: INT }'
    (tmp_path / "schema.pbtxt").write_text(schema)
    checks.check(load(str(tmp_path), (inside, "schema=schema.pbtxt")))
    (tmp_path / "schema.pbtxt").write_text(schema + 'feature { name: "leaf" type: BYTES image_domain {} }')
    assert message(tmp_path, inside, "schema=schema.pbtxt").startswith(expected.format("leaf"))


def test_sparse_features_of_a_curated_schema_are_refused_by_name(tmp_path: Path) -> None:
    project(tmp_path)
    sparse = 'sparse_feature { name: "leaves" index_feature { name: "kind" } value_feature { name: "height" } }'
    (tmp_path / "schema.pbtxt").write_text('feature { name: "height" type: FLOAT }\n' + sparse)
    assert "schema.pbtxt has the sparse_feature leaves; expected tensors" in message(tmp_path, "schema=schema.pbtxt")


@pytest.mark.parametrize("header", ["pi\u00e8ces,height\n".encode("latin-1"), b"\x89PNG\x00\xff\n"])
def test_a_header_that_is_not_utf8_is_a_sentence(tmp_path: Path, header: bytes) -> None:
    (project(tmp_path) / "trees.csv").write_bytes(header + b"1,2\n")
    text = message(tmp_path)
    assert f"{tmp_path}/trees.csv, line 1: the header is not UTF-8: {header.strip().split(b',')[0]!r}. Save" in text


def test_a_quote_that_the_first_row_never_closes_is_a_sentence(tmp_path: Path) -> None:
    (project(tmp_path) / "trees.csv").write_text('kind,height\n"oak,3.5\n')
    assert "Is a double quote opened and never closed?" in message(tmp_path)


def test_weights_to_begin_with_are_there(tmp_path: Path) -> None:
    text = message(project(tmp_path), "trainer.warm_start=none.weights.h5")
    assert text.startswith(f"trainer.warm_start: there is no {tmp_path}/none.weights.h5; expected latest_blessed or a")
    checks.check(load(str(tmp_path), ("trainer.warm_start=latest_blessed",)))
    (tmp_path / "some.weights.h5").touch()
    checks.check(load(str(tmp_path), ("trainer.warm_start=some.weights.h5",)))


def test_an_unknown_slice_names_the_columns(tmp_path: Path) -> None:
    text = message(project(tmp_path, column="species"))
    assert "'species'" in text
    assert "kind, height" in text


def test_a_label_of_text_is_refused(tmp_path: Path) -> None:
    text = message(project(tmp_path), "data.label=kind")
    assert "'kind' holds text, expected a number" in text


def test_a_weight_is_a_column_of_numbers(tmp_path: Path) -> None:
    project(tmp_path)
    assert "The weight 'much' is not a column of the data." in message(tmp_path, "data.weight=much")
    assert "The weight 'kind' holds text, expected a number: how much" in message(tmp_path, "data.weight=kind")
    (tmp_path / "trees.csv").write_text("kind,height,much\noak,3.5,2\nash,2.0,1\n")
    checks.check(load(str(tmp_path), ("data.weight=much",)))


MULTILABEL = ("task=multilabel", "evaluator.thresholds={auc: {min: 0.7}}")


def test_columns_of_labels_are_among_the_data_and_no_slices(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "trees.csv").write_text("kind,tall,old,label\noak,1,1,0\nash,0,1,1\n")
    checks.check(load(str(tmp_path), (*MULTILABEL, "data.label=[tall, old, label]")))
    assert "'young' is not a column" in message(tmp_path, *MULTILABEL, "data.label=[tall, young]")
    sliced = message(tmp_path, *MULTILABEL, "data.label=[tall, old, label]", "evaluator.slices=[old]")
    assert "evaluator.slices: 'old' is not a column; there are kind." in sliced
    assert "there is a column of that name besides" in message(tmp_path, *MULTILABEL, "data.label=[tall, old]")
    assert "data.label is one column, 'tall'; task multilabel" in message(tmp_path, *MULTILABEL, "data.label=tall")


def test_an_unknown_kind_of_anomaly_names_the_nearest(tmp_path: Path) -> None:
    assert "SCHEMA_NEW_COLUMN" in message(project(tmp_path), "data_gate.allow=[SCHEMA_NEW_COLUM]")


def test_a_schema_without_the_label_is_refused(tmp_path: Path) -> None:
    (project(tmp_path) / "schema.pbtxt").write_text('feature { name: "kind" type: BYTES }\n')
    assert "'height'" in message(tmp_path, "schema=schema.pbtxt")


def test_a_schema_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    text = message(project(tmp_path), "schema=none.pbtxt")
    assert text.startswith(f"schema: there is no file {tmp_path}/none.pbtxt. Without `schema` it is inferred")
    assert text.count("none.pbtxt") == 1


@pytest.mark.parametrize(("content", "expected"), [(b"", "is empty"), (b"not gzip at all", "is not a gzip file")])
def test_a_file_of_no_records_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (project(tmp_path, kind="tfrecord", path="trees.tfrecord.gz") / "trees.tfrecord.gz").write_bytes(content)
    assert expected in message(tmp_path)


def test_data_is_prepared_once_and_only_where_it_is_missing(tmp_path: Path) -> None:
    project(tmp_path, path="data/trees.csv", prepare="make.py")
    script = "from pathlib import Path\nhere = Path(__file__).parent\n(here / 'data').mkdir()\n"
    (tmp_path / "make.py").write_text(script + "(here / 'trees.csv').rename(here / 'data/trees.csv')\n")
    config = load(str(tmp_path))
    assert prepare(config)
    assert not prepare(config)
    checks.check(config)


def test_a_failing_script_is_a_sentence_with_its_last_line(tmp_path: Path) -> None:
    project(tmp_path, path="data/trees.csv", prepare="make.py")
    (tmp_path / "make.py").write_text("raise ValueError('no disk')\n")
    with pytest.raises(InputError, match=r"ended with exit code 1: ValueError: no disk"):
        prepare(load(str(tmp_path)))


def test_the_examples_are_in_order(tmp_path: Path) -> None:
    for example in ("digits", "taxi"):
        shutil.copytree(Path(__file__).parents[2] / "examples" / example, tmp_path / "examples" / example)
        shutil.copytree(Path(__file__).parents[2] / "schemas", tmp_path / "schemas", dirs_exist_ok=True)
        config = load(str(tmp_path / "examples" / example))
        prepare(config)
        checks.check(config)


CHECK = """
import sys
from pipeline import checks
from pipeline.config import load
try:
    checks.check(load(sys.argv[1], ("trainer.ops=custom",)))
except Exception as error:
    print(error)
assert "tensorflow" not in sys.modules
"""


def test_ops_that_have_to_be_compiled_and_are_not_are_refused_without_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "custom_ops").mkdir()
    (tmp_path / "custom_ops/__init__.py").touch()
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(checks.__file__).parents[1]}"}
    command = [sys.executable, "-c", CHECK, str(project(tmp_path))]
    told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout
    assert told.startswith(f"trainer.ops is custom, but there is no {tmp_path}/custom_ops/_ops-tf")
