"""Claims about the fingerprint of the user's file: it follows what a function reaches, and nothing else."""

from pathlib import Path

import pytest

from components import user_code
from lineage.outcome import InputError

SOURCE = '''"""Docstring."""
import helpers
SCALE = 2

def preprocessing_fn(inputs):
    # a comment
    return _scaled(inputs)

def _scaled(inputs):
    return inputs * SCALE

def build_model(inputs_spec, hp):
    return helpers.model(hp)
'''


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "helpers.py").write_text("import deeper\ndef model(hp): return deeper.VALUE\n")
    (tmp_path / "deeper.py").write_text("VALUE = 1\n")
    (tmp_path / "neighbour.py").write_text("x = 1\n")
    path = tmp_path / "model.py"
    path.write_text(SOURCE)
    return path


def fingerprints(path: Path) -> tuple[str, str]:
    return (
        user_code.fingerprint(str(path), [user_code.PREPROCESSING]),
        user_code.fingerprint(str(path), user_code.HOOKS),
    )


@pytest.mark.parametrize(
    ("old", "new", "preprocessing_changes", "model_changes"),
    [
        ("_scaled(inputs)\n", "_scaled(inputs) \n", False, False),  # white space behind a line's end
        ("# a comment", "# b comment", True, False),
        ("inputs * SCALE", "inputs + SCALE", True, False),
        ("SCALE = 2", "SCALE = 3", True, False),
        ("helpers.model(hp)", "helpers.model({})", False, True),
        ('"""Docstring."""', '"""Other."""', False, False),
        ("import helpers\n", "import helpers\nprint(1)\n", True, True),  # may have effects
    ],
)
def test_a_fingerprint_changes_with_what_its_functions_reach(
    module: Path, old: str, new: str, preprocessing_changes: bool, model_changes: bool
) -> None:
    before = fingerprints(module)
    module.write_text(SOURCE.replace(old, new, 1))
    after = fingerprints(module)
    assert (before[0] != after[0], before[1] != after[1]) == (preprocessing_changes, model_changes)


def test_a_module_that_is_imported_through_another_counts(module: Path) -> None:
    before = fingerprints(module)
    (module.parent / "deeper.py").write_text("VALUE = 2\n")
    assert fingerprints(module)[1] != before[1]


def test_a_neighbour_that_is_not_imported_does_not_count(module: Path) -> None:
    before = fingerprints(module)
    (module.parent / "neighbour.py").write_text("x = 2\n")
    assert fingerprints(module) == before


def test_the_file_is_loaded_by_path_with_the_modules_beside_it(module: Path) -> None:
    assert user_code.load(str(module)).build_model(None, {}) == 1


def test_an_error_in_the_file_names_file_and_line(module: Path) -> None:
    module.write_text("x = 1\ny = x / 0\n")
    with pytest.raises(InputError, match=r"model\.py cannot be imported: ZeroDivisionError.*line 2"):
        user_code.load(str(module))
    module.write_text("def f(:\n")
    with pytest.raises(InputError, match=r"model\.py, line 1"):
        user_code.functions(str(module))
