"""Where the nodes that are Beam pipelines run: the `beam` section of pipeline.yaml, and what it must not say."""

import difflib

import pydantic
from pydantic import Field, PositiveInt

from pipeline.section import Section

# Beam's names of its runners; it takes them in any case and without the last word, or the path of another class.
RUNNERS = (
    "BundleBasedDirectRunner",
    "DataflowRunner",
    "DirectRunner",
    "FlinkRunner",
    "FnApiRunner",
    "InteractiveRunner",
    "KafkaStreamsRunner",
    "PortableRunner",
    "PrismRunner",
    "SparkRunner",
    "SwitchingDirectRunner",
    "TestDataflowRunner",
    "TestDirectRunner",
)

_REFUSED = {
    "dask": "DaskRunner loses data without an error: ExampleGen ended well with an empty split",
}
_INSTEAD = "FlinkRunner, SparkRunner or DataflowRunner for a cluster, nothing for this machine"

# The DirectRunner would look for a Prism binary to download; and TFX would build a source distribution a node.
_NO_IMAGE = "--sdk_container_image=local/none"
_LOCAL = ("--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner", _NO_IMAGE)
_IN_NO_IMAGE = ("EXTERNAL", "LOOPBACK", "PROCESS")  # environments of workers
_INSTALLS = ("--sdk_container_image", "--extra_package", "--setup_file", "--requirements_file")


class Beam(Section):
    """Options of Apache Beam."""

    workers: PositiveInt = Field(
        default=1,
        description="Processes of this machine that share the work of a Beam node; 1: the node's own does it all.",
    )
    args: list[str] = Field(default=[], description="Passed to every Beam node as they are.")

    @pydantic.field_validator("args")
    @classmethod
    def _known_runner(cls, args: list[str]) -> list[str]:
        for arg in args:
            if arg.startswith("--") and " " in arg.partition("=")[0]:
                raise ValueError(f"got {arg!r} as one argument, expected {arg.replace(' ', '=', 1)!r}")
        for name in _given(args, "--runner"):
            _check(name)
        return args

    @pydantic.model_validator(mode="after")
    def _has_workers(self) -> "Beam":
        runners = _given(self.args, "--runner")
        if self.workers > 1 and runners:
            raise ValueError(
                f"got `workers` {self.workers} of this machine and {runners[0]} in `args`, expected one of them"
            )
        if "dataflow" in map(_stem, runners) and not _given(self.args, *_INSTALLS):
            raise ValueError(
                "got DataflowRunner, whose workers need Slipway; expected --sdk_container_image=IMAGE in `args`, too: "
                "`slipway compile --to beam` writes how it is built"
            )
        return self

    def pipeline_args(self) -> list[str]:
        """What every Beam node is given: its runner is Beam's own in this process, unless `args` names one."""
        if _given(self.args, "--runner"):
            apart = set(_given(self.args, "--environment_type")) & set(_IN_NO_IMAGE)
            return [*self.args, *([_NO_IMAGE] if apart and not _given(self.args, *_INSTALLS) else [])]
        shared = ("--direct_running_mode=multi_processing", f"--direct_num_workers={self.workers}")
        return [*_LOCAL, *(shared if self.workers > 1 else ()), *self.args]


def _given(args: list[str], *options: str) -> list[str]:
    """The values of options, in their order; Beam, like any command, takes `--runner=X` and `--runner`, `X`."""
    found = []
    for arg, following in zip(args, [*args, ""][1:], strict=True):
        name, equals, value = arg.partition("=")
        found += [value if equals else following] if name in options else []
    return found


def _check(name: str) -> None:
    stems = {_stem(known): known for known in RUNNERS}
    stem = _stem(name)
    if stem in _REFUSED:
        raise ValueError(f"{_REFUSED[stem]}. Expected {_INSTEAD}")
    if "." not in name and stem not in stems:
        close = [stems[near] for near in difflib.get_close_matches(stem, stems, n=1)]
        expected = close or [*RUNNERS, "the path of a class"]
        raise ValueError(f"Beam has no runner {name!r}, expected {', '.join(expected)}")


def _stem(name: str) -> str:
    return name.rpartition(".")[2].lower().removesuffix("runner")
