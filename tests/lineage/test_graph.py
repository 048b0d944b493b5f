"""The drawn graph of a run can be read: it leads down, and nothing lies upon another."""

import dataclasses

from lineage.outcome import State
from lineage.report.graph import HEIGHT, WIDTH, lay_out
from lineage.runs import Node, Run

GRAPH = [
    ("ExampleGen", "StatisticsGen"),
    ("StatisticsGen", "DataGate"),
    ("SchemaImporter", "DataGate"),
    ("ExampleGen", "Trainer"),
    ("DataGate", "Trainer"),
    ("Trainer", "Evaluator"),
    ("ExampleGen", "Evaluator"),
    ("Baseline", "Evaluator"),
    ("Trainer", "Quantizer"),
    ("Evaluator", "Pusher"),
    ("Quantizer", "Pusher"),
]


def graph_run(digits: Run, edges: list[tuple[str, str]]) -> Run:
    """The run with a graph of these edges."""
    ids = list(dict.fromkeys(node for edge in edges for node in edge))
    nodes = tuple(Node(node_id, State.COMPLETE, 1.0, ()) for node_id in ids)
    return dataclasses.replace(digits, nodes=nodes, edges=tuple(edges))


def test_in_the_graph_every_arrow_leads_down_and_no_boxes_overlap(digits: Run) -> None:
    drawn = lay_out(graph_run(digits, GRAPH))
    at = {box.node.id: box for box in drawn.boxes}
    assert all(at[upstream].y + HEIGHT < at[downstream].y for upstream, downstream in GRAPH)
    assert len(drawn.arrows) == len(GRAPH)
    for box in drawn.boxes:
        assert 0 <= box.x <= drawn.width - WIDTH
        assert box.y + HEIGHT <= drawn.height
        beside = [other for other in drawn.boxes if other.y == box.y and other is not box]
        assert all(abs(other.x - box.x) >= WIDTH for other in beside)


def test_a_cyclic_record_still_gives_a_graph(digits: Run) -> None:
    drawn = lay_out(graph_run(digits, [("a", "b"), ("b", "a")]))
    assert len(drawn.boxes) == 2
