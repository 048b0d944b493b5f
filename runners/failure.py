"""From the exception that ended a run to what the user is told: state, exit code, and a message that starts with
their own line.
"""

import dataclasses
import linecache
import re

from components.trainer.worker_error import WorkerError
from lineage.outcome import ExitCode, GateRefused, InputError, State
from runners.child import KilledError

# Beam re-raises what a worker raised as text: the class's qualified name and the message, then the step it ran in.
_IN_BEAM = re.compile(r"lineage\.outcome\.(InputError|GateRefused): (.*?)(?: \[while running|\n\n|\Z)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Failure:
    """How a run ended that did not complete."""

    state: State
    exit_code: ExitCode
    message: str


def explain(error: Exception, user_file: str) -> Failure:
    """The failure that an exception is; `user_file` is the path of the user's Python file."""
    if isinstance(error, GateRefused):
        return Failure(State.REFUSED, ExitCode.GATE_REFUSED, str(error))
    if isinstance(error, InputError):
        return Failure(State.FAILED, ExitCode.INPUT_WRONG, str(error))
    if isinstance(error, KilledError):
        again = "The same `slipway run` again goes on where it was."
        return Failure(State.INTERRUPTED, ExitCode.WORK_FAILED, f"The process {error}. {again}")
    if found := _IN_BEAM.search(str(error)):
        return Failure(State.FAILED, ExitCode.INPUT_WRONG, found.group(2).strip())
    raised = error if isinstance(error, WorkerError) else WorkerError.of(error)
    return Failure(State.FAILED, ExitCode.WORK_FAILED, "\n".join([*_users_line(raised, user_file), str(raised)]))


def _users_line(error: WorkerError, user_file: str) -> list[str]:
    """The innermost line of the user's file on the stack, if it is there."""
    frames = [frame for frame in error.frames if frame.filename == user_file]
    if not frames:
        return []
    line = frames[-1].lineno or 0
    return [f"{user_file}, line {line}: {linecache.getline(user_file, line).strip()}"]
