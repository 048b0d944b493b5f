"""Claims about a compiled pipeline whose data comes in spans: which of them a run is of, and when it is cached."""

from pathlib import Path

import pytest

from lineage.outcome import InputError
from lineage.runs import Run, find_run
from lineage.store import open_store
from pipeline.config import load
from runners import compiled, scheduled
from tests.runners.trees import add, ages, apart, project, run, write


def test_a_run_is_of_the_newest_span_when_it_began_or_of_the_one_it_is_told(tmp_path: Path) -> None:
    root, folder, to = tmp_path / "root", project(tmp_path, 9, 10), tmp_path / "compiled"

    def recorded(run_id: str) -> tuple[Run, str]:
        found = find_run(open_store(root), root, run_id)
        return found, str(found.nodes[0].state)

    assert apart(write, folder, root, to) == 0
    add(folder, 11)
    assert apart(run, to, "first") == 0
    first, state = recorded("first")
    assert (ages(first), state) == ({11}, "COMPLETE")
    add(folder, 12)
    assert apart(run, to, "first") == 0, "it goes on, with what it began with"
    assert recorded("first")[0].inputs == first.inputs
    assert apart(run, to, "newest") == 0
    newest, state = recorded("newest")
    assert (ages(newest), state) == ({12}, "COMPLETE")
    assert newest.fingerprint != first.fingerprint
    assert apart(run, to, "told", 11) == 0
    told, state = recorded("told")
    assert (ages(told), state) == ({11}, "CACHED")
    assert told.fingerprint == first.fingerprint
    assert apart(run, to, "part", None, scheduled.Part("ExampleGen", "ExampleGen", "first")) == 0
    part, state = recorded("part")
    assert (ages(part), state) == ({11}, "COMPLETE"), "that of its base, and never from the cache"
    with pytest.raises(InputError, match=r"There is no span 7 of .*\. There are 9, 10, 11, 12\."):
        scheduled.begin(compiled.read(to), "none", "test", span=7)
    with pytest.raises(InputError, match="Got span 9 for a part of a run, which is of the spans of newest"):
        scheduled.begin(compiled.read(to), "both", "test", scheduled.Part("ExampleGen", base="newest"), 9)
    with pytest.raises(InputError, match="begun by another process meanwhile, with other data"):
        scheduled.begin(compiled.read(to), "first", "test", span=9)
    plain = load(str(folder), ("data.path=data/9/*.csv",))
    with pytest.raises(InputError, match=r"data\.path is data/9/\*\.csv, without \{SPAN\}; leave --span out"):
        scheduled.begin(compiled.Compiled(plain, root, compiled.read(to).ir), "plain", "test", span=9)
