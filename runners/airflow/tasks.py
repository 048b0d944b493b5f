"""Which nodes run in a task of their own and which share one: to import TFX takes a process longer than some to run."""

import dataclasses
from collections.abc import Iterable

from pipeline.nodes import Nodes, NodeSettings

# They only register something or look at what is there already.
_CHEAP = frozenset(
    ("SchemaImporter", "SchemaGen", "ExampleValidator", "DataGate", "BaseModel", "Baseline", "InfraValidator", "Pusher")
)
_SECONDS_TO_START = 120.0  # beyond the limits of its nodes, which their process holds itself


@dataclasses.dataclass
class Task:
    """Nodes that one process runs, in an order in which it can, and the ids of the tasks right before it."""

    nodes: list[str]
    upstream: list[str]
    pool: str
    retries: int
    seconds: float | None

    @property
    def id(self) -> str:
        """That of its first node."""
        return self.nodes[0]


def tasks(node_ids: Iterable[str], edges: Iterable[tuple[str, str]], settings: Nodes) -> list[Task]:
    """The tasks of a graph, in an order in which they can run.

    A cheap node joins a task that runs before it anyway: of those that its inputs come from, the one that all others
    come before; the first of all, where it has no inputs. Where there is none, or it has another pool, it is a task
    of its own.
    """
    found: dict[str, Task] = {}  # by node id
    edges = list(edges)
    for node_id in node_ids:
        own = settings.of(node_id)
        before = _distinct(found[up] for up, down in edges if down == node_id)
        host = _host(before, found) if node_id in _CHEAP else None
        if host and host.pool == own.pool:
            _join(host, node_id, own)
            found[node_id] = host
        else:
            upstream = [task.id for task in before]
            seconds = own.timeout + _SECONDS_TO_START if own.timeout else None
            found[node_id] = Task([node_id], upstream, own.pool, own.retries, seconds)
    return _distinct(found.values())


def _join(host: Task, node_id: str, own: NodeSettings) -> None:
    host.nodes.append(node_id)
    host.retries = max(host.retries, own.retries)
    host.seconds = host.seconds + own.timeout if host.seconds and own.timeout else None


def _host(before: list[Task], found: dict[str, Task]) -> Task | None:
    """The task that a cheap node after these may join."""
    if not before:
        return next(iter(found.values()), None)
    for task in before:
        earlier = _before(task, found)
        if all(other is task or other.id in earlier for other in before):
            return task
    return None


def _before(task: Task, found: dict[str, Task]) -> set[str]:
    """Ids of all tasks that must have ended before it."""
    return set(task.upstream).union(*(_before(found[task_id], found) for task_id in task.upstream))


def _distinct(tasks: Iterable[Task]) -> list[Task]:
    return list({task.id: task for task in tasks}.values())
