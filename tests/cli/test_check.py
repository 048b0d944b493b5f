"""Claims about `slipway check` on a project whose data is not there yet."""

import subprocess
import sys
from pathlib import Path

YAML = """
name: trees
task: regression
data: {format: csv, path: trees.csv, label: height, prepare: make.py}
evaluator: {thresholds: {mean_absolute_error: {max: 1}}}
"""


def test_data_that_a_script_is_to_make_is_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(YAML)
    (tmp_path / "model.py").write_text("def build_model(inputs_spec, hp): ...\n")
    command = [sys.executable, "-m", "cli.main", "check", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "first makes the data with make.py" in done.stdout
