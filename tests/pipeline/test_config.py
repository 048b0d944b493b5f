"""Claims about pipeline.yaml: defaults, overrides, and one sentence for each wrong field."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lineage.outcome import InputError
from pipeline.config import Config, json_schema, load

MINIMAL = {"name": "iris", "task": "multiclass", "data": {"format": "csv", "path": "iris.csv", "label": "species"}}


def write(folder: Path, **fields: object) -> Path:
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(MINIMAL | fields))
    return folder


def message(folder: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as caught:
        load(str(folder), overrides)
    return str(caught.value)


def test_a_minimal_config_gets_the_documented_defaults(tmp_path: Path) -> None:
    config = load(str(write(tmp_path)))
    assert config.data.splits == {"train": 8, "eval": 1, "test": 1}
    assert config.resolve(config.model) == tmp_path / "model.py"
    assert config.destination(Path("/data")) == Path("/data/serving/iris")


def test_an_override_is_yaml_and_reaches_nested_fields(tmp_path: Path) -> None:
    config = load(str(write(tmp_path)), ("trainer.epochs=3",))
    assert config.trainer.epochs == 3


def test_a_comment_changes_nothing_that_a_run_depends_on(tmp_path: Path) -> None:
    before = load(str(write(tmp_path))).to_yaml()
    path = tmp_path / "pipeline.yaml"
    path.write_text("# a comment\n" + path.read_text())
    assert load(str(tmp_path)).to_yaml() == before


def test_an_unknown_key_is_named_with_the_nearest_known_one(tmp_path: Path) -> None:
    text = message(write(tmp_path, trainer={"epoch": 3}))
    assert "`trainer.epoch`" in text
    assert "`epochs`" in text
    text = message(write(tmp_path, quantizer={"qat": {"epoch": 3}}))
    assert "`quantizer.qat.epoch`: did you mean `epochs`?" in text, "of a section that may be left out"


def test_every_wrong_field_is_reported_at_once(tmp_path: Path) -> None:
    text = message(write(tmp_path, task="clustering", trainer={"epochs": 0}))
    assert "`task`" in text
    assert "`trainer.epochs`" in text


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"task": "clustering"}, "'clustering'"),
        ({"data": {"format": "csv", "path": "x"}}, "`data.label` is missing"),
        ({"data": MINIMAL["data"] | {"splits": {"train": 1, "test": 1}}}, "expected exactly train, eval and test"),
        ({"evaluator": {"thresholds": {"auc": {}}}}, "expected min, max, min_change or max_change"),
        ({"name": "Iris 1"}, "`name`"),
        (
            {"data": MINIMAL["data"] | {"label": 5}},
            "`data.label`: expected the name of a column, or a list of names, rec",
        ),
        ({"data": MINIMAL["data"] | {"label": ["a"]}}, "expected a list of two columns or more, each once"),
        ({"data": MINIMAL["data"] | {"label": ["a", "b"]}}, "several columns as `data.label` with task multiclass"),
        (
            {"data": MINIMAL["data"] | {"label": ["a", "b"], "format": "tfrecord"}},
            "expected the one feature that holds",
        ),
        ({"data": MINIMAL["data"] | {"weight": "species"}}, "got 'species' as `label` and as `weight`"),
        (
            {"task": "regression", "trainer": {"class_weight": {1: 2.0}}},
            "got `trainer.class_weight` with task regression",
        ),
        ({"trainer": 5}, "`trainer`: expected a mapping of epochs, batch_size,"),
        ({"data": MINIMAL["data"] | {"splits": {"train": 1, "eval": "e/*", "test": 1}}}, "a glob for each"),
        ({"data": MINIMAL["data"] | {"splits": {"train": 0, "eval": 1, "test": 1}}}, "a ratio of at least 1"),
    ],
)
def test_a_wrong_value_is_one_sentence(tmp_path: Path, fields: dict[str, object], expected: str) -> None:
    assert expected in message(write(tmp_path, **fields))


def test_broken_yaml_and_no_yaml_are_sentences(tmp_path: Path) -> None:
    assert "There is no" in message(tmp_path / "nowhere")
    (tmp_path / "pipeline.yaml").write_text("name: [")
    assert "not valid YAML" in message(tmp_path)
    assert "expected key=value" in message(write(tmp_path), "trainer.epochs")
    text = message(write(tmp_path), "airflow.span=%Y%m%d")
    assert text == "--set airflow.span=%Y%m%d: %Y%m%d is not valid YAML. Text is in quotes: 'airflow.span=\"...\"'."


def test_every_field_of_the_schema_has_a_description() -> None:
    definitions = Config.model_json_schema()["$defs"]
    undescribed = [
        f"{n}.{f}" for n, d in definitions.items() for f, s in d["properties"].items() if not s.get("description")
    ]
    assert undescribed == []


def test_the_published_schema_is_that_of_the_code() -> None:
    """Write it anew with `python -c "from pipeline.config import json_schema; print(json_schema(), end='')"`."""
    published = Path(__file__).parents[2] / "docs" / "pipeline.schema.json"
    assert published.read_text() == json_schema()


def test_checking_a_config_imports_neither_tensorflow_nor_tfx() -> None:
    code = (
        "import sys, cli.work, cli.look; print([m for m in ('tensorflow', 'tfx', 'apache_beam') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
