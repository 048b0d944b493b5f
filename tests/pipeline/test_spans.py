"""Which files a run is of, where the data comes in spans."""

from pathlib import Path

import pytest

from lineage.outcome import InputError
from pipeline.checks import data_patterns
from pipeline.config import Config, load
from pipeline.fingerprint import run_fingerprint, run_inputs
from pipeline.spans import resolve

YAML = """
name: trees
task: regression
data: {format: csv, path: "data/{SPAN}/v{VERSION}/*.csv", label: height}
evaluator: {thresholds: {mean_absolute_error: {max: 1}}}
"""


def write(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(f"age,height\n1,2\n{file}\n")


def taken(config: Config) -> list[str]:
    """What the run reads: the names that the files have in the user's folder."""
    files = [file for pattern in data_patterns(config) for file in Path("/").glob(pattern[1:])]
    return sorted(str(file.resolve().relative_to(config.folder.resolve())) for file in files)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(YAML)
    (folder / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    write(folder, "data/9/v1/a.csv", "data/10/v1/a.csv", "data/10/v2/a.csv", "data/10/v2/b.csv", "data/11x/v1/a.csv")
    return folder


def test_a_run_is_of_the_newest_version_of_the_newest_span(project: Path, tmp_path: Path) -> None:
    config = load(str(project))
    assert taken(resolve(config, tmp_path / "root")) == ["data/10/v2/a.csv", "data/10/v2/b.csv"]
    assert taken(resolve(config, tmp_path / "root", span=9)) == ["data/9/v1/a.csv"]


def test_a_window_rolls_on_with_a_new_span(project: Path, tmp_path: Path) -> None:
    config = load(str(project), ("data.window=2",))
    first = resolve(config, tmp_path / "root")
    assert taken(first) == ["data/10/v2/a.csv", "data/10/v2/b.csv", "data/9/v1/a.csv"]
    assert run_inputs(resolve(config, tmp_path / "root")) == run_inputs(first)
    write(project, "data/12/v1/c.csv")
    then = resolve(config, tmp_path / "root")
    assert taken(then) == ["data/10/v2/a.csv", "data/10/v2/b.csv", "data/12/v1/c.csv"]
    assert run_fingerprint(run_inputs(then)) != run_fingerprint(run_inputs(first))


def test_data_that_is_split_keeps_its_splits(project: Path, tmp_path: Path) -> None:
    write(project, *(f"split/7/{split}/a.csv" for split in ("train", "eval", "test")))
    splits = "data.splits={train: train/*, eval: eval/*, test: test/*}"
    config = load(str(project), ("data.path=split/{SPAN}", splits))
    [train, evaluated, test] = [
        [str(file.resolve().relative_to(project.resolve())) for file in Path("/").glob(pattern[1:])]
        for pattern in data_patterns(resolve(config, tmp_path / "root"))
    ]
    assert (train, evaluated, test) == (["split/7/train/a.csv"], ["split/7/eval/a.csv"], ["split/7/test/a.csv"])


def test_what_is_not_there_is_said(project: Path, tmp_path: Path) -> None:
    config = load(str(project))
    with pytest.raises(InputError, match=r"There is no span 3 of .*\. There are 9, 10\."):
        resolve(config, tmp_path, span=3)
    with pytest.raises(InputError, match="No file matches"):
        resolve(load(str(project), ("data.path=none/{SPAN}/*",)), tmp_path)
    plain = load(str(project), ("data.path=data/9/v1/*.csv",))
    assert resolve(plain, tmp_path) is plain
    with pytest.raises(InputError, match="leave --span out"):
        resolve(plain, tmp_path, span=9)
    with pytest.raises(InputError, match=r"expected \{SPAN\} in it with `window`"):
        load(str(project), ("data.path=data/9/v1/*.csv", "data.window=2"))
