"""How a run can end: its state, the exit code, and the two errors that are not a failure of the work.

Everything in the project may import this module; it imports nothing.
"""

import enum


class State(enum.StrEnum):
    """State of a run or of a node, as stored in ML Metadata and shown to the user."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    CACHED = "CACHED"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    INTERRUPTED = "INTERRUPTED"


DONE = (State.COMPLETE, State.CACHED)  # of a node that need not be run again


class ExitCode(enum.IntEnum):
    """Exit codes of the `slipway` command."""

    DONE = 0
    WORK_FAILED = 1
    INPUT_WRONG = 2
    GATE_REFUSED = 3
    CRASHED = 4  # Slipway itself, not the work that it was given


class InputError(Exception):
    """The user's input (config, code, data, command line) is wrong: exit code 2.

    The message says what was received, what was expected and what to do, in one or two sentences.
    """


class GateRefused(Exception):  # noqa: N818 - a refusal is a verdict, not an error
    """A gate (data, evaluation, quantization, serving) refused: exit code 3.

    The message starts with what was refused and lists the reasons, one a line.
    """
