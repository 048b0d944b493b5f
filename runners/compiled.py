"""A pipeline compiled once, for schedulers: a folder with TFX's IR and what a run of it needs to know besides."""

import dataclasses
from pathlib import Path

import pydantic
from tfx.proto.orchestration import pipeline_pb2

from lineage.outcome import InputError
from lineage.store import COMPILED
from pipeline import spans
from pipeline.compile import compile_pipeline
from pipeline.config import Config, loads
from pipeline.fingerprint import source_fingerprint
from runners.child import in_child

_ABOUT = "compiled.json"


class _About(pydantic.BaseModel):
    config: str
    place: Path
    root: Path
    code: str


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A compiled pipeline: `root` is the folder for artifacts, metadata and served models; `config` names all spans."""

    config: Config
    root: Path
    ir: pipeline_pb2.Pipeline


def compile_apart(config: Config, root: Path) -> pipeline_pb2.Pipeline:
    """Compiles in a forked child: the user's file may start TensorFlow, after which a process cannot be forked.

    Raises:
      InputError: the user's file cannot be imported, or the head of the data is wrong.
    """
    ir = in_child(lambda: compile_pipeline(config, root).SerializeToString(deterministic=True))
    return pipeline_pb2.Pipeline.FromString(ir)


def write(config: Config, root: Path, folder: Path) -> Compiled:
    """Compiles a checked config into a folder, which it makes; what lies there is replaced.

    Where the data comes in spans, the newest are compiled, and those of a run take their place when it begins.

    Raises:
      InputError: the user's file cannot be imported, or the folder cannot be written to.
    """
    compiled = Compiled(config, root, compile_apart(spans.resolve(config, root), root))
    save(compiled, folder)
    return compiled


def save(compiled: Compiled, folder: Path) -> None:
    """Writes it down as it is; what lies there is replaced.

    Raises:
      InputError: the folder cannot be written to.
    """
    config, ir = compiled.config, compiled.ir.SerializeToString(deterministic=True)
    about = _About(config=config.to_yaml(), place=config.folder, root=compiled.root, code=source_fingerprint(config))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((COMPILED, ir), (_ABOUT, about.model_dump_json(indent=1).encode())):
            (folder / f"{name}.new").write_bytes(content)
            (folder / f"{name}.new").rename(folder / name)
    except OSError as error:
        raise InputError(f"The compiled pipeline cannot be written to {folder}: {error.strerror}.") from error


def read(folder: Path) -> Compiled:
    """What `write` wrote.

    Raises:
      InputError: there is none, or the user's code is another now than it was compiled for: the cache would take what
        the old code has made.
    """
    try:
        about = _About.model_validate_json((folder / _ABOUT).read_bytes())
        ir = pipeline_pb2.Pipeline.FromString((folder / COMPILED).read_bytes())
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} is no compiled pipeline: there is no {error.filename}. Run `slipway compile`."
        ) from None
    config = loads(about.config, about.place)
    if source_fingerprint(config) != about.code:
        raise InputError(
            f"{config.resolve(config.model)} has changed since the pipeline was compiled to {folder}. "
            "Run `slipway compile` again."
        )
    return Compiled(config, about.root, ir)
