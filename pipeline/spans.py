"""Data that comes in spans: `{SPAN}` and `{VERSION}` in `data.path` are numbers, and a run is of the newest spans.

The files of the spans of a run are linked into one folder, the run's `data.path`: nothing below knows of spans.
"""

import dataclasses
import glob
import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from lineage.outcome import InputError
from pipeline.config import Config
from pipeline.data import SPAN, VERSION, any_span


@dataclasses.dataclass(frozen=True)
class Span:
    """The newest version of a span: its files, by split ("" where the data is not split yet)."""

    number: int
    files: Mapping[str, Sequence[str]]


def resolve(config: Config, root: Path, span: int | None = None) -> Config:
    """The config of a run: of the last `data.window` spans, up to `span` or to the newest one.

    Args:
      config: A config, with spans or without; without, it is returned as it is.
      root: The root folder, under which the links are made.
      span: The last span; None for the newest.

    Raises:
      InputError: there is no such span, or none at all; or a span is asked for where there are none.
    """
    if not config.data.has_spans:
        if span is not None:
            raise InputError(f"--span {span}: data.path is {config.data.path}, without {SPAN}; leave --span out.")
        return config
    spans = find(config)
    if span is not None and span not in spans:
        raise InputError(f"There is no span {span} of {config.data.path}. There are {_listed(sorted(spans))}.")
    last = max(spans) if span is None else span
    window = [spans[number] for number in sorted(spans) if number <= last][-config.data.window :]
    folder = _link(window, root / "spans" / config.name)
    if config.data.is_split:
        return _reads(config, str(folder), {name: f"*/{name}/*" for name in config.data.splits})
    return _reads(config, f"{folder}/*/*", config.data.splits)


def as_read_by(run: Config, config: Config) -> Config:
    """The config of another run on the same spans as `run`, a config that `resolve` gave."""
    return _reads(config, run.data.path, run.data.splits)


def find(config: Config) -> dict[int, Span]:
    """The spans that there are, by number.

    Raises:
      InputError: there are none.
    """
    path = str(config.resolve(config.data.path))
    patterns = {name: f"{path}/{pattern}" for name, pattern in config.data.splits.items()}
    found: dict[int, dict[int, dict[str, list[str]]]] = {}
    for split, pattern in (patterns if config.data.is_split else {"": path}).items():
        numbered = re.compile(_regex(pattern))
        # glob, unlike Path.glob, takes an absolute pattern.
        for file in sorted(glob.glob(any_span(pattern), recursive=True)):  # noqa: PTH207
            match = numbered.fullmatch(file)
            if match and Path(file).is_file():
                number, version = int(match["span"]), int(match.groupdict().get("version") or 0)
                found.setdefault(number, {}).setdefault(version, {}).setdefault(split, []).append(file)
    if not found:
        raise InputError(f"No file matches {path}, where {SPAN} stands for a number.")
    return {number: Span(number, versions[max(versions)]) for number, versions in found.items()}


def _reads(config: Config, path: str, splits: Mapping[str, int | str]) -> Config:
    data = config.data.model_copy(update={"path": path, "splits": splits, "prepare": None, "window": 1})
    return config.model_copy(update={"data": data})


def _regex(pattern: str) -> str:
    """Of the files that a glob with spans in it matches; a span that occurs twice is the same number."""
    known = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    regex, seen = "", set[str]()
    for part in re.split(r"(\{SPAN\}|\{VERSION\}|\*\*/|\*|\?|\[[^]]*\])", pattern):
        if part in (SPAN, VERSION):
            name = part.strip("{}").lower()
            regex += f"(?P={name})" if name in seen else rf"(?P<{name}>\d+)"
            seen.add(name)
        else:
            regex += known.get(part, part if part.startswith("[") else re.escape(part))
    return regex


def _link(window: Sequence[Span], parent: Path) -> Path:
    """A folder `<span>/[<split>/]<number>-<name>` of links; its name tells what is in it."""
    files = [file for span in window for split in span.files.values() for file in split]
    digest = hashlib.sha256("\n".join(files).encode()).hexdigest()[:8]
    folder = parent / f"{window[0].number}-{window[-1].number}-{digest}"
    if folder.exists():
        return folder
    new = parent / f".{folder.name}.{os.getpid()}"
    for span in window:
        for split, paths in span.files.items():
            (new / str(span.number) / split).mkdir(parents=True)
            for number, path in enumerate(paths):
                (new / str(span.number) / split / f"{number:05d}-{Path(path).name}").symlink_to(path)
    try:
        new.rename(folder)
    except OSError:  # another run was faster
        shutil.rmtree(new)
    return folder


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[-5:]))
    return f"{len(numbers)}, the newest {shown}" if len(numbers) > 5 else shown
