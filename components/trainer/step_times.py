"""Where the time of a step goes, from a profiler's trace: what is computed and what is waited for.

Work of several threads and devices overlaps, so every moment of a step counts once: as compute where anything computes,
else as all-reduce where replicas exchange gradients, else as input where a batch is waited for, else as the rest, such
as Python and dispatch. The order of precedence is that of TensorBoard's profiler.
"""

import collections
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from lineage.records import StepTimes

STEP = "train"  # the name of the event that is a step, and of the number of the step in it
STEP_NUMBER = "step_num"

Kind = Literal["step", "compute", "compute on a GPU", "all-reduce", "input"]

_HOST, _GPU = "/host:CPU", "/device:GPU"
_WAITS = ("IteratorGetNextOp::DoCompute", "IteratorGetNext")
_BACKGROUND = "tf_data"  # threads of the input pipeline
_NO_WORK = ("_Send", "_Recv", "PartitionedCall", "StatefulPartitionedCall", "RemoteCall", "While", "If", "Case")


class _Event(NamedTuple):
    name: str
    thread: str
    begin: int
    end: int
    step: int


def step_times(trace: Path) -> StepTimes:
    """Means over the steps in a trace, an `.xplane.pb` file.

    Where there is a GPU, compute is what GPUs do; else it is the operations on the CPU.

    Raises:
      ValueError: there are no steps in it.
    """
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    found: dict[Kind, list[_Event]] = collections.defaultdict(list)
    for plane in space.planes:
        for event in _events(plane):
            if kind := _kind(plane.name, event):
                found[kind].append(event)
    if not found["step"]:
        raise ValueError(f"{trace} has no event {STEP!r}.")
    steps = _intervals(found["step"])
    seconds = float(np.diff(steps).mean()) / 1e12
    compute = found["compute on a GPU"] or found["compute"]
    shares = _shares(steps, [compute, found["all-reduce"], found["input"]])
    numbers = [event.step for event in found["step"]]
    return StepTimes(
        first_step=min(numbers),
        last_step=max(numbers),
        compute=seconds * shares[0],
        all_reduce=seconds * shares[1],
        input=seconds * shares[2],
        rest=seconds * (1 - sum(shares)),
    )


def _events(plane: Any) -> Iterator[_Event]:
    """Times are in picoseconds since the trace began."""
    for line in plane.lines:
        for event in line.events:
            begin = line.timestamp_ns * 1000 + event.offset_ps
            name = plane.event_metadata[event.metadata_id].name
            step = _step_number(plane, event) if name == STEP else 0
            yield _Event(name, line.name, begin, begin + event.duration_ps, step)


def _step_number(plane: Any, event: Any) -> int:
    values = {plane.stat_metadata[stat.metadata_id].name: stat.int64_value for stat in event.stats}
    return int(values.get(STEP_NUMBER, 0))


def _kind(plane: str, event: _Event) -> Kind | None:
    if plane == _HOST:
        return _kind_on_host(event)
    return _kind_on_gpu(event) if plane.startswith(_GPU) else None


def _kind_on_host(event: _Event) -> Kind | None:
    """Operations are called `name in the graph:type`."""
    if event.name == STEP:
        return "step"
    name, _, operation = event.name.rpartition(":")
    if _WAITS[0] == event.name or operation == _WAITS[1]:
        return "input"
    is_operation = bool(name) and not name.endswith(":") and operation.isidentifier()
    if not is_operation or event.thread.startswith(_BACKGROUND) or operation in _NO_WORK:
        return None
    return "all-reduce" if operation.startswith(("Collective", "Nccl")) else "compute"


def _kind_on_gpu(event: _Event) -> Kind | None:
    """Kernels and copies; a copy may wait for a batch, so it is no compute."""
    name = event.name.lower()
    if name.startswith("mem"):
        return None
    return "all-reduce" if "nccl" in name else "compute on a GPU"


def _shares(steps: NDArray[np.int64], kinds: list[list[_Event]]) -> list[float]:
    """Of the time of the steps, what each kind takes where none of those before it does."""
    whole, covered = np.diff(steps).sum(), 0.0
    shares, before = [], list[_Event]()
    for events in kinds:
        before += events
        times = _merged(_intervals(before))
        now = sum(float(np.diff(np.clip(times, *step)).sum()) for step in steps) / whole
        shares.append(now - covered)
        covered = now
    return shares


def _intervals(events: list[_Event]) -> NDArray[np.int64]:
    return np.array([(event.begin, event.end) for event in events], np.int64).reshape(-1, 2)


def _merged(intervals: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same times, without overlaps."""
    if not len(intervals):
        return intervals
    ordered = intervals[np.argsort(intervals[:, 0])]
    ends = np.maximum.accumulate(ordered[:, 1])
    first = np.concatenate([[True], ordered[1:, 0] > ends[:-1]])
    last = np.concatenate([first[1:], [True]])
    return np.stack([ordered[first, 0], ends[last]], axis=1)
