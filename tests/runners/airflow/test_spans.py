"""Claims about data in spans under Airflow: each data interval its own, others what they ask for or the newest."""

import datetime
import json
import os
import subprocess
from pathlib import Path

import pytest

from lineage.outcome import InputError
from lineage.runs import Run, find_run
from lineage.store import open_store
from pipeline.config import load
from pipeline.data import SPAN
from runners import compiled
from runners.airflow import write_dag
from tests.runners import small as small_pipeline
from tests.runners.airflow.environment import environment
from tests.runners.airflow.real import Airflow
from tests.runners.small import Small
from tests.runners.trees import ages, apart, only_example_gen, project

# Asks the DAG file for the spans of the days of a schedule, of one in a backfill, and of a run by hand.
ASK = """
import datetime, importlib.util, json, sys, types
spec = importlib.util.spec_from_file_location("dag", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
midnight = datetime.datetime(2026, 2, 28, tzinfo=datetime.timezone.utc)
until = midnight + datetime.timedelta(days=2)
starts = [info.data_interval.start for info in module.dag.iter_dagrun_infos_between(midnight, until)]
runs = [("scheduled", start) for start in starts] + [("backfill", starts[0]), ("manual", starts[0])]
print(json.dumps([module.span_of(types.SimpleNamespace(run_type=t, data_interval_start=s)) for t, s in runs]))
"""


def written(small: Small, *overrides: str) -> Path:
    """The DAG file of the small pipeline, as if its data came in spans."""
    spans = f"data.path=data/{SPAN}/*.csv"
    config = load(str(small.folder), (spans, 'airflow.schedule="@daily"', *overrides))
    return write_dag(
        compiled.Compiled(config, small.root, small_pipeline.compiled(small.root, small.folder)), small.folder
    )


# 2026-02-28 is day 20512: TFX's date_to_span_number, and `date -d 2026-02-28 +%s` / 86400.
@pytest.mark.parametrize(
    ("span", "expected"),
    [
        ("%Y%m%d", [20260228, 20260301, 20260302, 20260228, None]),
        ("days", [20512, 20513, 20514, 20512, None]),
    ],
)
def test_a_data_interval_has_the_span_of_its_first_day(small: Small, span: str, expected: list[int]) -> None:
    path = written(small, f'airflow.span="{span}"')
    done = subprocess.run(
        [str(environment("2") / "bin" / "python"), "-c", ASK, str(path)],
        env={**os.environ, "AIRFLOW_HOME": str(small.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == expected


def test_the_file_knows_of_spans_only_where_there_are_some(small: Small) -> None:
    assert '"span"' in written(small).read_text()
    with pytest.raises(InputError, match=r"airflow\.span is set, but data\.path is \*\.csv: expected \{SPAN\} in it"):
        written(small, "airflow.span=days", 'data.path="*.csv"')
    assert '"span"' not in written(small, 'data.path="*.csv"').read_text()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("airflow.span=daily", "expected days, or a format of Python's strftime that makes a number"),
        ('airflow.span="%Y-%m-%d"', "expected days, or a format"),
        ('airflow={span: days, schedule: "@once"}', "expected a schedule that has intervals"),
        ("airflow={span: days}", "expected a schedule that has intervals"),
    ],
)
def test_a_span_that_is_no_number_or_no_intervals_are_said(small: Small, override: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        written(small, override)


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", ["2", "3"])
def test_missed_days_are_made_up_each_with_its_own_span(version: str, tmp_path: Path) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    days = [today - datetime.timedelta(days=before) for before in (3, 2, 1)]
    spans = [int(f"{day:%Y%m%d}") for day in days]
    folder, root, to = project(tmp_path, *spans, 30000101), tmp_path / "root", tmp_path / "compiled"
    settings = ('schedule="@daily"', f"start_date={days[0]}", "catchup=true", 'span="%Y%m%d"', "retry_delay=0")
    assert apart(only_example_gen, folder, root, to, *(f"airflow.{setting}" for setting in settings)) == 0

    def recorded(run_id: str) -> Run:
        return find_run(open_store(root), root, f"trees-{run_id}")

    with Airflow(version, tmp_path / "home", to, "trees") as airflow:
        made_up = airflow.wait(
            "SELECT run_id FROM dag_run WHERE run_type = 'scheduled' GROUP BY 1 HAVING (SELECT COUNT(*) FROM dag_run "
            "WHERE state = 'success') = 3 ORDER BY data_interval_start"
        )
        for (run_id,), span in zip(made_up, spans, strict=True):
            name = run_id.replace(":", "-").replace("+", "-")
            assert ages(recorded(name)) == {span}
        airflow.trigger("newest")
        airflow.trigger("told", {"span": spans[0]})
        assert (airflow.ended("newest"), airflow.ended("told")) == ("success", "success")
    assert ages(recorded("newest")) == {30000101}
    told = recorded("told")
    assert (ages(told), str(told.nodes[0].state)) == ({spans[0]}, "CACHED")
