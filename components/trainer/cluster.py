"""Which processes train together with `strategy: multi_worker`: hosts named in TF_CONFIG, or processes of this host.

Imports no TensorFlow, so that a TF_CONFIG is checked before any work.
"""

import dataclasses
import json
import os
import socket
from typing import Any

from lineage.outcome import InputError

_EXPECTED = (
    'expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}, with at least two '
    "processes in the cluster, the first of which may be named as its chief"
)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A process among those that train together; the first is the chief, which alone writes.

    Attributes:
      addresses: `host:port` of each process, the same on all of them.
      index: This one's place among them.
      has_chief: Whether the first is named as `chief` rather than as a worker, as in the TF_CONFIG it comes from.
      on_one_host: Whether the processes share this host, and its GPUs.
    """

    addresses: tuple[str, ...]
    index: int
    has_chief: bool = False
    on_one_host: bool = False

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the checkpoints and the model."""
        return self.index == 0

    def to_environment(self) -> None:
        """Sets TF_CONFIG, from which TensorFlow takes the cluster."""
        os.environ["TF_CONFIG"] = json.dumps({"cluster": self._jobs(), "task": self._task()})

    def _jobs(self) -> dict[str, list[str]]:
        if not self.has_chief:
            return {"worker": [*self.addresses]}
        return {"chief": [self.addresses[0]], "worker": [*self.addresses[1:]]}

    def _task(self) -> dict[str, Any]:
        if not self.has_chief:
            return {"type": "worker", "index": self.index}
        return {"type": "worker", "index": self.index - 1} if self.index else {"type": "chief", "index": 0}


def from_environment() -> Cluster | None:
    """The cluster of TF_CONFIG; None where it is not set.

    Raises:
      InputError: TF_CONFIG is not what TensorFlow's multi-worker training needs.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return None
    try:
        given = json.loads(text)
        jobs, task = given["cluster"], given["task"]
        chief, workers = jobs.get("chief", []), jobs["worker"]
        addresses = (*chief, *workers)
        index = int(task["index"]) + (len(chief) if task["type"] == "worker" else 0)
        known = set(jobs) <= {"chief", "worker"} and task["type"] in jobs and len(chief) <= 1
        named = all(isinstance(address, str) and address.count(":") == 1 for address in addresses)
        fits = known and named and len(set(addresses)) == len(addresses) >= 2 and 0 <= index < len(addresses)
    except (ValueError, TypeError, KeyError, AttributeError):
        fits = False
    if not fits:
        raise InputError(f"TF_CONFIG is {text}; {_EXPECTED}.")
    return Cluster(addresses, index, has_chief=bool(chief))


def of_chief(workers: int | None) -> Cluster:
    """The cluster as its chief sees it, from the setting `workers`, else from TF_CONFIG.

    Raises:
      InputError: neither is there, both are, or TF_CONFIG is wrong or is that of another process than the chief.
    """
    given = from_environment()
    if workers is not None and given is not None:
        raise InputError(
            f"trainer.workers is {workers}, for processes on this host, and TF_CONFIG names hosts. Use one of the two."
        )
    if workers is not None:
        return Cluster(tuple(f"localhost:{port}" for port in free_ports(workers)), 0, on_one_host=True)
    if given is None:
        raise InputError(
            "trainer.strategy is multi_worker, but TF_CONFIG is not set. Set it on each host, or train in processes on "
            "this host with trainer.workers."
        )
    if not given.is_chief:
        raise InputError(
            f"TF_CONFIG makes this process number {given.index} of the cluster, and the pipeline runs on the first, "
            f"{given.addresses[0]}. Start `slipway worker PIPELINE` here."
        )
    return given


def free_ports(count: int) -> list[int]:
    """Ports of this host that nobody listens at, all different."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
