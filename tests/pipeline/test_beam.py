"""Claims about the `beam` section of pipeline.yaml: which runners are refused, by which sentence."""

from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import StandardOptions

from lineage.outcome import InputError
from pipeline.beam import RUNNERS
from pipeline.config import Config, loads

YAML = "{name: small, task: binary, data: {format: csv, path: a.csv, label: y}}"


def config(*args: str) -> Config:
    return loads(YAML, Path("/project"), (f"beam.args={list(args)}",))


@pytest.mark.parametrize(
    "args",
    [
        ["--runner=DaskRunner"],
        ["--runner", "DaskRunner"],
        ["--runner=dask"],
        ["--runner=FlinkRunner", "--runner=DASKRUNNER"],
        ["--runner=apache_beam.runners.dask.dask_runner.DaskRunner"],
    ],
)
def test_a_runner_that_loses_data_is_refused_with_the_reason(args: list[str]) -> None:
    with pytest.raises(InputError, match=r"`beam\.args`: DaskRunner loses data without an error"):
        config(*args)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--runner=FlnkRunner"], "no runner 'FlnkRunner', expected FlinkRunner,"),
        (["--runner=sparc"], "no runner 'sparc', expected SparkRunner,"),
        (["--runner=x"], "no runner 'x', expected BundleBasedDirectRunner, DataflowRunner, .*, the path of a class"),
        (["--streaming", "--runner"], "no runner ''"),
        (["--runner FlinkRunner"], "got '--runner FlinkRunner' as one argument, expected '--runner=FlinkRunner'"),
    ],
)
def test_a_runner_that_is_not_there_is_answered_with_the_nearest(args: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        config(*args)


def test_runners_are_known_as_beam_knows_them() -> None:
    assert sorted(RUNNERS) == sorted(StandardOptions.KNOWN_RUNNER_NAMES)
    for name in ("flink", "SPARKRUNNER", "my.package.OwnRunner"):
        assert config(f"--runner={name}").beam.pipeline_args() == [f"--runner={name}"]


def test_workers_are_processes_of_this_machine() -> None:
    assert "--direct_num_workers=2" not in config().beam.pipeline_args()
    shared = loads(YAML, Path("/project"), ("beam.workers=2", "beam.args=[--streaming]")).beam.pipeline_args()
    assert shared[-3:] == ["--direct_running_mode=multi_processing", "--direct_num_workers=2", "--streaming"]
    with pytest.raises(InputError, match="`beam`: got `workers` 2 of this machine and flink in `args`"):
        loads(YAML, Path("/project"), ("beam.workers=2", "beam.args=[--runner=flink]"))


def test_workers_of_an_engine_have_an_image_or_none() -> None:
    apart = ("--runner=PortableRunner", "--environment_type=EXTERNAL")
    assert config(*apart).beam.pipeline_args() == [*apart, "--sdk_container_image=local/none"]
    for image in (["--sdk_container_image=a"], ["--sdk_container_image", "a"]):
        assert config(*apart, *image).beam.pipeline_args() == [*apart, *image]
    with pytest.raises(
        InputError, match=r"DataflowRunner, whose workers need Slipway; expected --sdk_container_image="
    ):
        config("--runner=dataflow")


def test_a_value_may_hold_blanks() -> None:
    assert config('--environment_config={"a": "b c"}').beam.pipeline_args()[-1] == '--environment_config={"a": "b c"}'
