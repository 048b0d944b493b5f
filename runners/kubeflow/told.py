"""How a task ends that fails: the log ends with what the user is told, and the exit code is that of `slipway run`."""

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator

from lineage.outcome import ExitCode
from runners.failure import explain


@contextlib.contextmanager
def told(user_file: str = "") -> Iterator[None]:
    """Ends the process where the work raises; `user_file` is the path of the user's Python file."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", force=True)
    try:
        yield
    except Exception as error:
        failure = explain(error, user_file)
        if failure.exit_code is ExitCode.WORK_FAILED:
            traceback.print_exc()
        print(failure.message, file=sys.stderr)
        raise SystemExit(failure.exit_code) from None
