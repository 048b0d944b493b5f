"""`pipeline.yaml`: every field, its default and its meaning, and the errors for a wrong one.

Light on purpose: reading a config imports neither TensorFlow nor TFX.
"""

import difflib
import json
import typing
from pathlib import Path
from typing import Any, Literal

import pydantic
import yaml
from pydantic import Field, PositiveInt
from pydantic.json_schema import SkipJsonSchema

from components.quantizer.settings import QuantizerSettings
from components.trainer.settings import TrainerSettings
from lineage.connection import Metadata
from lineage.outcome import InputError
from pipeline.airflow import Airflow
from pipeline.beam import Beam
from pipeline.data import Data
from pipeline.kubeflow import Kubeflow
from pipeline.nodes import Nodes
from pipeline.section import Section

Runner = Literal["local", "beam"]
Task = Literal["multiclass", "binary", "multilabel", "regression"]


class DataGate(Section):
    """Which anomalies of the data are let through."""

    allow: list[str] = Field(default=[], description="Anomalies let through: KIND or column:KIND, as TFDV names them.")


class Threshold(Section):
    """Bounds of one metric: absolute, and as a change against the latest blessed model."""

    min: float | None = Field(default=None, description="Least value allowed.")
    max: float | None = Field(default=None, description="Greatest value allowed.")
    min_change: float | None = Field(default=None, description="Least value of (this model - blessed model).")
    max_change: float | None = Field(default=None, description="Greatest value of (this model - blessed model).")

    @pydantic.model_validator(mode="after")
    def _bounds(self) -> "Threshold":
        if all(bound is None for bound in (self.min, self.max, self.min_change, self.max_change)):
            raise ValueError("got no bound, expected min, max, min_change or max_change")
        if self.min_change is not None and self.max_change is not None:
            raise ValueError("got min_change and max_change, expected one: the direction in which the metric is better")
        return self


class Evaluator(Section):
    """What is measured on the test split, on which slices, and what is good enough."""

    slices: list[str] = Field(default=[], description="Raw feature columns; a slice for each value, `a,b` for crosses.")
    metrics: list[str] = Field(default=[], description="More Keras or TFMA metrics, by class name.")
    thresholds: dict[str, Threshold] = Field(default={}, description="By metric, in class or snake_case name.")


class Serving(Section):
    """The serving check and where served versions go."""

    destination: str = Field(default="serving/{name}", description="Folder of the versions, relative to --root.")
    keep: PositiveInt = Field(default=3, description="Versions kept.")
    check_requests: PositiveInt = Field(default=16, description="Raw examples sent to the server before a push.")


class Config(Section):
    """A whole pipeline.yaml.

    Example:
      >>> config = load("examples/digits")
      >>> config.trainer.batch_size
      128
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", description="Name of the pipeline and of the served model.")
    task: Task = Field(
        description="multiclass: class index; binary: 0 or 1; multilabel: k values of 0 or 1; regression: a number."
    )
    data: Data
    schema_file: str | None = Field(
        default=None, alias="schema", description="Curated TFMD schema, .pbtxt; omitted: inferred, written for review."
    )
    model: str = Field(
        default="model.py", description="Python file with build_model, or TFX's run_fn; relative to pipeline.yaml."
    )
    data_gate: DataGate = DataGate()
    trainer: TrainerSettings = TrainerSettings()
    evaluator: Evaluator = Evaluator()
    quantizer: QuantizerSettings = QuantizerSettings()
    serving: Serving = Serving()
    runner: Runner = Field(
        default="local",
        description="local: nodes side by side; beam: the graph as a pipeline of Beam's, one node after the other.",
    )
    beam: Beam = Beam()
    nodes: Nodes = Nodes()
    airflow: Airflow = Airflow()
    kubeflow: Kubeflow = Kubeflow()
    metadata: Metadata = Metadata()
    folder: SkipJsonSchema[Path] = Field(exclude=True, description="Set by `load`: the folder of pipeline.yaml.")

    @pydantic.model_validator(mode="after")
    def _task(self) -> "Config":
        if isinstance(self.data.label, list) and self.task != "multilabel":
            raise ValueError(f"got several columns as `data.label` with task {self.task}, expected multilabel")
        if self.trainer.class_weight and self.task not in ("multiclass", "binary"):
            raise ValueError(
                f"got `trainer.class_weight` with task {self.task}, which has no classes; see `data.weight`"
            )
        if self.quantizer.min_agreement is not None and self.task == "regression":
            raise ValueError("got `quantizer.min_agreement` with task regression, which has no classes; see `max_drop`")
        return self

    def resolve(self, path: str) -> Path:
        """A path of the YAML as an absolute one: relative ones start at the folder of pipeline.yaml."""
        return (self.folder / path).absolute()

    def destination(self, root: Path) -> Path:
        """The folder of the served versions."""
        return (root / self.serving.destination.format(name=self.name)).absolute()

    def to_yaml(self) -> str:
        """The complete config, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json", by_alias=True), sort_keys=False)


def load(place: str, overrides: tuple[str, ...] = ()) -> Config:
    """Reads a pipeline.yaml (or the one in the folder `place`) and applies `key=value` overrides.

    Args:
      place: A folder with a pipeline.yaml, or a YAML file.
      overrides: Such as `trainer.epochs=3`; the value is YAML.

    Raises:
      InputError: naming the file, the field, what was received and what was expected.
    """
    path = Path(place) / "pipeline.yaml" if Path(place).is_dir() else Path(place)
    return _validated(_read(path), overrides, path.parent.absolute(), str(path))


def loads(text: str, folder: Path, overrides: tuple[str, ...] = ()) -> Config:
    """The config that `to_yaml` wrote, of a pipeline in that folder, with `key=value` overrides.

    Raises:
      InputError: it is none, perhaps since another version of Slipway wrote it.
    """
    return _validated(yaml.safe_load(text) or {}, overrides, folder, "The recorded config")


def _validated(fields: dict[str, Any], overrides: tuple[str, ...], folder: Path, source: str) -> Config:
    for override in overrides:
        _apply(override, fields)
    if "folder" in fields:
        raise InputError(f"{source}: unknown key `folder`.")
    try:
        return Config.model_validate({**fields, "folder": folder})
    except pydantic.ValidationError as error:
        raise InputError("\n".join(f"{source}: {_sentence(detail)}" for detail in error.errors())) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"There is no {path}. Give a folder with a pipeline.yaml, or the YAML file.") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(fields, dict):
        received = "nothing" if fields is None else f"{type(fields).__name__} {fields!r}"
        raise InputError(f"{path}: got {received}, expected a mapping with `name`, `task`, `data`, ...")
    return fields


def _apply(override: str, fields: dict[str, Any]) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise InputError(f"--set {override}: expected key=value, such as trainer.epochs=3.")
    *parents, last = key.split(".")
    for parent in parents:
        fields = fields.setdefault(parent, {})
        if not isinstance(fields, dict):
            raise InputError(f"--set {override}: `{parent}` is a value, not a section.")
    try:
        fields[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"--set {override}: {value} is not valid YAML. Text is in quotes: '{key}=\"...\"'.") from None


def _sentence(detail: Any) -> str:
    """One sentence for one pydantic error, with the nearest known key where a key is unknown."""
    location = [str(part) for part in detail["loc"]]
    where = ".".join(location)
    if detail["type"] == "extra_forbidden":
        return f"unknown key `{where}`{_nearest(location)}"
    if detail["type"] == "missing":
        return f"`{where}` is missing: {_description(location)}"
    reason = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "model_type":
        reason = f"expected a mapping of {', '.join(_keys(_section(location)))}"
    received = "" if isinstance(detail["input"], dict) else f", received {detail['input']!r}"
    return f"`{where}`: {reason}{received}." if where else f"{reason}."


def _nearest(location: list[str]) -> str:
    known = list(_keys(_section(location[:-1])))
    close = difflib.get_close_matches(location[-1], known, n=1)
    return f": did you mean `{close[0]}`?" if close else f"; known here: {', '.join(known)}."


def _keys(section: type[pydantic.BaseModel]) -> dict[str, pydantic.fields.FieldInfo]:
    return {field.alias or name: field for name, field in section.model_fields.items() if name != "folder"}


def _section(location: list[str]) -> type[pydantic.BaseModel]:
    """The section at a place in the YAML; below `evaluator.thresholds` all are bounds of metrics."""
    section: type[pydantic.BaseModel] = Config
    for key in location:
        annotation = _keys(section)[key].annotation if key in _keys(section) else None
        options = [annotation, *typing.get_args(annotation)]  # a section may be left out: `Section | None`
        sections = [one for one in options if isinstance(one, type) and issubclass(one, pydantic.BaseModel)]
        section = sections[0] if sections else Threshold
    return section


def _description(location: list[str]) -> str:
    field = _keys(_section(location[:-1])).get(location[-1])
    return field.description if field and field.description else "it has no default."


def json_schema() -> str:
    """The JSON schema of pipeline.yaml, from which editors complete: docs/pipeline.schema.json."""
    return json.dumps(Config.model_json_schema(), indent=1) + "\n"
