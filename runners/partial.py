"""A run of some nodes only: which run the others are taken from, and whether that is possible."""

import dataclasses
import difflib
from collections.abc import Iterable

from lineage.outcome import InputError, State
from lineage.runs import Run

_DONE = (State.COMPLETE, State.CACHED)


@dataclasses.dataclass(frozen=True)
class Partial:
    """The nodes between `first` and `last`, both included, are executed; those above are taken from the run `base`.

    None for `last` stands for all nodes that depend on `first`.
    """

    base: str
    first: str
    last: str | None


def partial(base: Run, first: str, last: str | None) -> Partial:
    """Checks that the nodes exist and that what the first one needs is there.

    Raises:
      InputError: a node is unknown, the last does not come after the first, or the base run lacks a node.
    """
    known = [node.id for node in base.nodes]
    for node_id in filter(None, (first, last)):
        check_known(node_id, known)
    executed = _reachable(first, base.edges)
    if last is not None:
        if last not in executed:
            raise InputError(f"{last} does not depend on {first}; expected one of {_listed(executed, known)}.")
        executed &= _reachable(last, [(down, up) for up, down in base.edges])
    needed = set[str]().union(*(_reachable(node_id, [(down, up) for up, down in base.edges]) for node_id in executed))
    missing = {node.id for node in base.nodes if node.state not in _DONE} & (needed - executed)
    if missing:
        raise InputError(
            f"Run {base.id} ({base.state}) has not finished {_listed(missing, known)}, which {first} needs. "
            f"Begin with {next(node_id for node_id in known if node_id in missing)}, or take another run."
        )
    return Partial(base.id, first, last)


def check_known(node_id: str, known: list[str]) -> None:
    """Raises InputError, with the nearest name, where there is no such node."""
    if node_id not in known:
        nearest = difflib.get_close_matches(node_id, known, n=1, cutoff=0.4)
        hint = f"Did you mean {nearest[0]}?" if nearest else f"There are {', '.join(known)}."
        raise InputError(f"There is no node {node_id}. {hint}")


def _reachable(start: str, edges: Iterable[tuple[str, str]]) -> set[str]:
    found, todo = {start}, [start]
    edges = list(edges)
    while todo:
        node_id = todo.pop()
        new = {down for up, down in edges if up == node_id} - found
        found |= new
        todo += new
    return found


def _listed(some: set[str], order: list[str]) -> str:
    return ", ".join(node_id for node_id in order if node_id in some)
