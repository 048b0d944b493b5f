"""Which a training runs: the compiled custom ops, or their composite twins in plain TensorFlow."""

import contextlib
from typing import Literal

import custom_ops
from lineage.outcome import InputError

Ops = Literal["custom", "composite"]


def chosen(ops: Literal["custom", "composite", "auto"]) -> Ops:
    """What the setting `ops` is on this machine.

    Raises:
      InputError: it is custom, and the compiled ops cannot run here.
    """
    if ops == "auto":
        return "custom" if custom_ops.available() else "composite"
    if ops == "custom" and (reason := custom_ops.why_unavailable()):
        raise InputError(
            f"trainer.ops is custom, but {reason}. Build them with `make setup`, or set trainer.ops to auto or "
            "composite, with which plain TensorFlow gives the same results."
        )
    return ops


def running(ops: Ops) -> contextlib.AbstractContextManager[None]:
    """The scope in which a model that calls custom ops is built and trained."""
    return custom_ops.composite() if ops == "composite" else contextlib.nullcontext()
