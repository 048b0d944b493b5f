"""A run of some nodes only: which run the others are taken from, and whether that is possible."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from lineage.outcome import DONE, InputError
from lineage.runs import Run


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
    if last is not None and last not in (below := _reachable(first, base.edges)):
        raise InputError(f"{last} does not depend on {first}; expected one of {_listed(below, known)}.")
    own = executed(first, last, base.edges)
    needed = set[str]().union(*(_reachable(node_id, _reversed(base.edges)) for node_id in own))
    missing = {node.id for node in base.nodes if node.state not in DONE} & (needed - own)
    if missing:
        raise InputError(
            f"Run {base.id} ({base.state}) has not finished {_listed(missing, known)}, which {first} needs. "
            f"Begin with {next(node_id for node_id in known if node_id in missing)}, or take another run."
        )
    return Partial(base.id, first, last)


def inputs_of(inputs: Mapping[str, Any], partial: Partial | None) -> Mapping[str, Any]:
    """What the result of a run depends on: `inputs`, and, where only some nodes are run, which."""
    return {**inputs, "partial": dataclasses.asdict(partial)} if partial else inputs


def executed(first: str, last: str | None, edges: Iterable[tuple[str, str]]) -> set[str]:
    """Ids of the nodes from the first to the last, or to the end of the graph."""
    edges = list(edges)
    below = _reachable(first, edges)
    return below & _reachable(last, _reversed(edges)) if last is not None else below


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


def _reversed(edges: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(down, up) for up, down in edges]


def _listed(some: set[str], order: list[str]) -> str:
    return ", ".join(node_id for node_id in order if node_id in some)
