"""Names of anomalies in the config, checked without TFX."""

import subprocess
import sys

import pytest

from components.data_gate.allowed import check_allowed, is_allowed
from lineage.outcome import InputError
from lineage.records import Anomaly


def test_known_kinds_pass_for_all_columns_or_one() -> None:
    check_allowed(["SCHEMA_NEW_COLUMN", "a:b:INT_TYPE_BIG_INT"])


@pytest.mark.parametrize("entry", ["SCHEMA_NEW_COLUM", "fare:schema_new_column"])
def test_an_unknown_kind_is_answered_with_the_nearest(entry: str) -> None:
    with pytest.raises(InputError, match=r"Did you mean SCHEMA_NEW_COLUMN\?"):
        check_allowed([entry])


def test_an_entry_for_a_column_allows_that_column_only() -> None:
    fare = Anomaly(split="train", column="fare", kind="INT_TYPE_BIG_INT", description="")
    tips = fare.model_copy(update={"column": "tips"})
    assert [is_allowed(each, ["fare:INT_TYPE_BIG_INT"]) for each in (fare, tips)] == [True, False]
    assert [is_allowed(each, ["INT_TYPE_BIG_INT"]) for each in (fare, tips)] == [True, True]
    assert not is_allowed(fare, ["fare:INT_TYPE_SMALL_INT"])


def test_names_are_checked_without_tensorflow_or_tfx() -> None:
    code = (
        "import sys; from components.data_gate import allowed; from components.schema_importer import curated; "
        "print({'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")
