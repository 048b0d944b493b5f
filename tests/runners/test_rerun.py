"""Claims about reruns: exactly what depends on the node where one begins is executed, and what cannot be is said."""

import shutil

import pytest

from lineage.outcome import InputError
from pipeline.config import loads
from pipeline.fingerprint import run_inputs
from runners.partial import partial
from runners.plan import up_to_date
from tests.runners.small import NODES, YAML, Small

BELOW = {
    "ExampleGen": {"ExampleGen", "StatisticsGen", "Transform", "Trainer"},
    "StatisticsGen": {"StatisticsGen", "Trainer"},
    "Transform": {"Transform", "Trainer"},
    "Trainer": {"Trainer"},
}


def test_a_rerun_from_each_node_executes_it_and_all_below(small: Small) -> None:
    assert small.run() == 0
    base = small.latest().id
    for first, below in BELOW.items():
        assert small.run(first=first) == 0
        run = small.latest()
        assert run.base
        states = small.states()
        assert {node_id for node_id, state in states.items() if state == "COMPLETE"} == below
        assert {node_id for node_id, state in states.items() if state == "CACHED"} == set(NODES) - below
    assert run.id != base
    assert len(small.outputs()) == 1 + len(BELOW)
    assert len(set(small.outputs())) == 1


def test_unchanged_is_up_to_date_until_an_output_is_lost_which_alone_is_made_again(small: Small) -> None:
    config = loads(YAML, small.folder)
    assert up_to_date(config, small.root, run_inputs(config)) is None
    assert small.run() == 0
    current = up_to_date(config, small.root, run_inputs(config))
    assert current is not None
    assert current.id == small.latest().id
    shutil.rmtree(small.latest().nodes[1].artifacts[0].uri)
    assert up_to_date(config, small.root, run_inputs(config)) is None
    assert small.run() == 0
    assert small.states() == {
        "ExampleGen": "CACHED",
        "StatisticsGen": "COMPLETE",
        "Transform": "CACHED",
        "Trainer": "COMPLETE",
    }


def test_forced_everything_is_executed(small: Small) -> None:
    assert small.run() == 0
    assert small.run(force=True) == 0
    assert set(small.states().values()) == {"COMPLETE"}


def test_what_cannot_be_rerun_is_said(small: Small) -> None:
    small.let("Transform", "fail")
    assert small.run() == 1
    base = small.latest()
    with pytest.raises(InputError, match=r"There is no node Transfrom\. Did you mean Transform\?"):
        partial(base, "Transfrom", None)
    with pytest.raises(InputError, match="StatisticsGen does not depend on Transform; expected one of Transform, Trai"):
        partial(base, "Transform", "StatisticsGen")
    with pytest.raises(InputError, match=r"has not finished Transform, which Trainer needs\. Begin with Transform"):
        partial(base, "Trainer", None)
    assert partial(base, "Transform", None).first == "Transform"
