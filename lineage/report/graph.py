"""Lays the nodes of a run out in layers, top down, for a small SVG; sizes are in CSS pixels.

A node lies one layer below its lowest upstream node (longest path), and a source just above the first node that uses
it. An edge that skips layers runs through invisible points, which all long edges of one node share (Sugiyama, Tagawa
and Toda, IEEE SMC 11, 1981, for layers and order; Gansner et al., IEEE TSE 19, 1993, for the weights 1, 2 and 8).
"""

import dataclasses
import itertools
from collections.abc import Sequence

from lineage.runs import Node, Run

WIDTH, HEIGHT = 148, 36
_GAP, _LAYER_GAP, _POINT = 16, 30, 10
_SWEEPS = 24
_STRAIGHTNESS = (1, 2, 8)  # of an edge between boxes, from a box to a point, between points


@dataclasses.dataclass(frozen=True)
class Box:
    """A node and where its box begins."""

    node: Node
    x: float
    y: float


@dataclasses.dataclass(frozen=True)
class Graph:
    """What to draw: boxes and the paths (SVG `d`) of the arrows between them."""

    width: float
    height: float
    boxes: list[Box]
    arrows: list[str]


@dataclasses.dataclass(eq=False)
class _Item:
    """A box, or a point that long edges run through."""

    node: Node | None
    layer: int
    x: float = 0.0
    neighbours: list["_Item"] = dataclasses.field(default_factory=list)

    @property
    def width(self) -> float:
        return WIDTH if self.node else _POINT

    @property
    def top(self) -> float:
        return self.layer * (HEIGHT + _LAYER_GAP) + 2


def lay_out(run: Run) -> Graph:
    """The graph of the run; edges that name no node of the run are left out."""
    items = {node.id: _Item(node, 0) for node in run.nodes}
    edges = [edge for edge in run.edges if edge[0] in items and edge[1] in items]
    for node_id, layer in _layers(list(items), edges).items():
        items[node_id].layer = layer
    routes = _routes(items, edges)
    layers = _by_layer(items, routes)
    _place(layers)
    left = min((item.x - item.width / 2 for layer in layers for item in layer), default=0.0) - 2
    right = max((item.x + item.width / 2 for layer in layers for item in layer), default=0.0) + 2
    for item in (item for layer in layers for item in layer):
        item.x -= left
    boxes = [Box(item.node, item.x - WIDTH / 2, item.top) for item in items.values() if item.node]
    height = len(layers) * (HEIGHT + _LAYER_GAP) - _LAYER_GAP + 4
    return Graph(right - left, height, boxes, list(dict.fromkeys(_path(route) for route in routes)))


def _layers(ids: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Longest path from a source; relaxed as often as there are nodes, so a wrong (cyclic) record ends too."""
    layer = dict.fromkeys(ids, 0)
    for _ in ids:
        for upstream, downstream in edges:
            layer[downstream] = min(max(layer[downstream], layer[upstream] + 1), len(ids) - 1)
    fed = {downstream for _, downstream in edges}
    for source in set(ids) - fed:
        below = [layer[downstream] for upstream, downstream in edges if upstream == source]
        layer[source] = min(below, default=1) - 1
    return layer


def _routes(items: dict[str, _Item], edges: Sequence[tuple[str, str]]) -> list[list[_Item]]:
    """For each edge the items it runs through, neighbours in adjacent layers."""
    points: dict[tuple[str, int], _Item] = {}
    routes = []
    for upstream, downstream in edges:
        route = [items[upstream]]
        for layer in range(items[upstream].layer + 1, items[downstream].layer):
            route.append(points.setdefault((upstream, layer), _Item(None, layer)))
        route.append(items[downstream])
        for above, below in itertools.pairwise(route):
            if below not in above.neighbours:
                above.neighbours.append(below)
                below.neighbours.append(above)
        routes.append(route)
    return routes


def _by_layer(items: dict[str, _Item], routes: list[list[_Item]]) -> list[list[_Item]]:
    everything = list(dict.fromkeys([*items.values(), *(item for route in routes for item in route)]))
    layers: list[list[_Item]] = [[] for _ in range(1 + max((item.layer for item in everything), default=-1))]
    for item in everything:
        layers[item.layer].append(item)
    return layers


def _place(layers: list[list[_Item]]) -> None:
    """Orders each layer by the mean place of its neighbours, then moves items there as far as the widths allow."""
    for layer in layers:
        _spread(layer, [0.0] * len(layer))
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 else reversed(layers):
            layer.sort(key=_wish)
            _spread(layer, [_wish(item) for item in layer])


def _wish(item: _Item) -> float:
    if not item.neighbours:
        return item.x
    weights = [_STRAIGHTNESS[(item.node is None) + (neighbour.node is None)] for neighbour in item.neighbours]
    places = [neighbour.x for neighbour in item.neighbours]
    return sum(weight * x for weight, x in zip(weights, places, strict=True)) / sum(weights)


def _spread(layer: list[_Item], wishes: list[float]) -> None:
    """Puts the items near their wishes, in order and without overlap: the mean of a pass from each side."""
    rightmost = list(wishes)
    leftmost = list(wishes)
    for i in range(1, len(layer)):
        rightmost[i] = max(wishes[i], rightmost[i - 1] + _distance(layer[i - 1], layer[i]))
    for i in range(len(layer) - 2, -1, -1):
        leftmost[i] = min(wishes[i], leftmost[i + 1] - _distance(layer[i], layer[i + 1]))
    for item, low, high in zip(layer, leftmost, rightmost, strict=True):
        item.x = (low + high) / 2


def _distance(left: _Item, right: _Item) -> float:
    return (left.width + right.width) / 2 + _GAP


def _path(route: list[_Item]) -> str:
    start = route[0]
    parts = [f"M{start.x:.1f} {start.top + HEIGHT:.1f}"]
    for above, below in itertools.pairwise(route):
        y, end = above.top + HEIGHT, below.top - (3 if below.node else 0)
        middle = (y + end) / 2
        parts.append(f"C{above.x:.1f} {middle:.1f} {below.x:.1f} {middle:.1f} {below.x:.1f} {end:.1f}")
        if not below.node:
            parts.append(f"V{below.top + HEIGHT:.1f}")
    return " ".join(parts)
