"""Runs the script that makes a pipeline's data, where the config names one and the data is not there."""

import subprocess
import sys

from lineage.outcome import InputError
from pipeline.checks import must_be_prepared
from pipeline.config import Config


def prepare(config: Config) -> bool:
    """Runs `data.prepare` if no file matches `data.path`; says whether it did.

    Raises:
      InputError: there is no such script, or it fails; the message has the last line it printed.
    """
    if not must_be_prepared(config):
        return False
    script = config.resolve(config.data.prepare or "")
    if not script.is_file():
        raise InputError(f"data.prepare: there is no file {script}.")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "it printed nothing").splitlines()[-1]
        raise InputError(f"data.prepare: {script} ended with exit code {done.returncode}: {last}")
    return True
