"""Projects as a user has them, run through the `slipway` command in processes whose imports a fork server has done."""

import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.forked import REPOSITORY, Forked

SLIPWAY = [sys.executable, "-m", "cli.main"]
NOT_MEASURED = ("--set", "quantizer.measure=false")


@dataclasses.dataclass(frozen=True)
class Done:
    """How a command ended and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


class Project:
    """A copy of an example, with a root folder of its own."""

    def __init__(self, folder: Path, root: Path):
        self.folder = folder
        self.root = root
        self._said = root.with_name(f"{root.name}_said")
        self._count = itertools.count(1)

    def slipway(self, *arguments: str) -> Done:
        """Runs a verb under the project's root."""
        process = self._started(*arguments)
        code = process.wait()
        return Done(code, process.output.read_text(), process.output.with_suffix(".err").read_text())

    def run(self, *arguments: str) -> Done:
        """Runs the pipeline, but measures no latency, which takes its time."""
        return self.slipway("run", str(self.folder), *NOT_MEASURED, *arguments)

    def start(self, *arguments: str) -> Forked:
        """Starts a run whose output can be read while it goes on."""
        return self.start_verb("run", *NOT_MEASURED, *arguments)

    def start_verb(self, verb: str, *arguments: str) -> Forked:
        """Starts a verb of the pipeline."""
        return self._started(verb, str(self.folder), *arguments)

    def start_anew(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """The same as a user does it: in a process that does all imports itself."""
        command = [*SLIPWAY, "run", str(self.folder), "--root", str(self.root), *NOT_MEASURED, *arguments]
        environment = {**os.environ, **environment}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment)

    def _started(self, *arguments: str) -> Forked:
        self._said.mkdir(exist_ok=True)
        output = self._said / f"{next(self._count)}.out"
        return Forked(
            "cli.main", *arguments, "--root", str(self.root), output=output, errors=output.with_suffix(".err")
        )

    def compile_for_kubeflow(self, folder: Path, *arguments: str) -> Path:
        """The YAML, for tasks that find the files in a copy, `image`, and push to `served`, both in that folder."""
        shutil.copytree(self.folder, folder / "image")
        settings = {
            "kubeflow.image": "registry.example.com/image:1",
            "kubeflow.folder": folder / "image",
            "kubeflow.volumes": f"{{{folder / 'served'}: models, {folder / 'runs'}: runs}}",
            "kubeflow.runs": folder / "runs",
            "serving.destination": folder / "served" / "{name}",
        }
        overrides = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        compiled = ("compile", str(self.folder), "--to", "kubeflow", "-o", str(folder / "compiled"))
        done = self.slipway(*compiled, *overrides, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder / "compiled" / "kubeflow.yaml"

    def show(self) -> dict[str, Any]:
        """The latest run."""
        return json.loads(self.slipway("show", "--json").stdout)

    def log(self) -> str:
        """What the latest run has logged."""
        return (self.root / "runs" / self.show()["run"] / "log.txt").read_text()

    def output(self, node_id: str, kind: str) -> Path:
        """The folder of a node's output of a type in the latest run."""
        [node] = [node for node in self.show()["nodes"] if node["id"] == node_id]
        [artifact] = [artifact for artifact in node["artifacts"] if artifact["type"] == kind]
        return Path(artifact["uri"])

    def states(self) -> dict[str, str]:
        """State of each node of the latest run."""
        return {node["id"]: node["state"] for node in self.show()["nodes"]}

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces text that must be there."""
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def lose_served_version(self) -> None:
        """Removes the newest one, after which a run is not up to date, although everything is made."""
        [name] = list((self.root / "serving").iterdir())
        shutil.rmtree(name / self.versions()[-1])

    def versions(self) -> list[str]:
        """The served versions."""
        [name] = list((self.root / "serving").iterdir())
        return sorted(folder.name for folder in name.iterdir() if folder.name.isdigit())


@pytest.fixture(scope="module")
def copy_example(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Makes a project of the files of an example; a schema that it names lies beside them."""

    def copy(name: str) -> Project:
        folder = tmp_path_factory.mktemp(name)
        for file in (REPOSITORY / "examples" / name).glob("*.*"):
            (folder / file.name).write_bytes(file.read_bytes())
        (folder / "schema.pbtxt").write_bytes((REPOSITORY / "schemas" / f"{name}.pbtxt").read_bytes())
        project = Project(folder, tmp_path_factory.mktemp(f"{name}_root"))
        project.edit("pipeline.yaml", f"../../schemas/{name}.pbtxt", "schema.pbtxt")
        return project

    return copy
