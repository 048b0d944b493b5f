"""What the README says of one's own data works as it is written there."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.conftest import REPOSITORY, Project


def block(language: str) -> str:
    """The first code block of that language."""
    found = re.search(rf"```{language}\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture
def churn(tmp_path: Path) -> Project:
    folder = tmp_path / "churn"
    folder.mkdir()
    random = np.random.default_rng(0)
    age, visits, plan = (
        random.integers(18, 80, 3000),
        random.poisson(5, 3000),
        random.choice(["free", "pro", "team"], 3000),
    )
    logit = (age - 50) / 10 - visits / 2 + 3 * (plan == "free") + 1
    churned = (random.uniform(size=3000) < 1 / (1 + np.exp(-logit))).astype(int)
    rows = [f"{a},{v},{p},{c}" for a, v, p, c in zip(age, visits, plan, churned, strict=True)]
    (folder / "churn.csv").write_text("\n".join(["age,visits,plan,churned", *rows]) + "\n")
    (folder / "pipeline.yaml").write_text(block("yaml"))
    (folder / "model.py").write_text(block("python"))
    return Project(folder, tmp_path / "root with a space")


def test_ones_own_data_in_two_files(churn: Project) -> None:
    process = churn.start_anew()
    said = process.communicate()[0]
    assert process.returncode == 0, said
    shown = churn.show()
    assert shown["metrics"]["auc"] > 0.8  # the label is drawn from a logistic model of these very columns
    assert Path(shown["pushed"], "model.tflite").exists()
