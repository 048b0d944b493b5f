"""Claims about the user's source on its way to another host: what goes, what is used there, and what is pickled."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_beam.internal import pickler

from components import user_code
from components.transform import source


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/__init__.py").write_text("")
    (tmp_path / "beside/deep.py").write_text("def value(): return 'here'\n")
    (tmp_path / "neighbour.py").write_text("x = 1\n")
    (tmp_path / "model.py").write_text("import beside.deep\ndef preprocessing_fn(inputs): return beside.deep.value\n")
    yield tmp_path / "model.py"
    for name in ("beside", "beside.deep"):
        sys.modules.pop(name, None)


def test_the_users_file_goes_with_what_it_imports_and_nothing_else(model: Path) -> None:
    assert sorted(source.read(str(model))) == ["beside/__init__.py", "beside/deep.py", "model.py"]


def test_a_host_with_other_files_uses_those_that_were_sent(model: Path) -> None:
    sent = source.read(str(model))
    assert source.at_hand(str(model), sent) == str(model)
    assert user_code.load(str(model)).preprocessing_fn({})() == "here"
    sent["beside/deep.py"] = "def value(): return 'sent'\n"
    copy = source.at_hand(str(model), sent)
    assert user_code.load(copy).preprocessing_fn({})() == "sent"
    assert source.at_hand(str(model), sent) == copy
    model.unlink()
    assert user_code.load(source.at_hand(str(model), sent)).preprocessing_fn({})() == "sent"


def test_functions_of_modules_beside_it_can_be_unpickled_where_these_are_not(model: Path) -> None:
    value = user_code.load(str(model)).preprocessing_fn({})
    source.pickle_by_value(str(model), source.read(str(model)))
    pickled = pickler.dumps(value)
    for name in ("beside", "beside.deep"):
        del sys.modules[name]
    assert pickler.loads(pickled)() == "here"
