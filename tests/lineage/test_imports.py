"""The reader answers at once because it leaves the heavy libraries alone."""

import subprocess
import sys

READER = """
import sys
import lineage.recovery, lineage.report, lineage.summary
heavy = {"tensorflow", "tfx", "apache_beam", "keras", "pandas", "tensorflow_data_validation"} & set(sys.modules)
print(*sorted(heavy))
"""


def test_reading_runs_and_writing_reports_imports_no_tensorflow() -> None:
    result = subprocess.run([sys.executable, "-c", READER], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
