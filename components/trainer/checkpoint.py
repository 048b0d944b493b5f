"""The state of a training on disk: every variable bit for bit and what the loop knows; whole or not there.

`tf.train.Checkpoint` and Keras' own files leave out the state of seed generators, so that dropout would differ after a
resume.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from components.dataset import Rows
from lineage.records import StepTimes


class LoopState(pydantic.BaseModel):
    """What the loop knows beside the variables; `step` counts optimizer steps, epochs are counted from 0."""

    step: int = 0
    best_loss: float = float("inf")
    best_epoch: int = -1
    seconds: float = 0.0
    epoch_seconds: list[float] = []
    history: dict[str, list[float]] = {}
    step_times: StepTimes | None = None

    model_config = pydantic.ConfigDict(ser_json_inf_nan="strings")

    @property
    def epochs_since_best(self) -> int:
        """Epochs in a row that were not better."""
        return len(self.history.get("loss", [])) - 1 - self.best_epoch


class Checkpoints:
    """Numbered checkpoints in a folder, the newest of which is resumed."""

    def __init__(self, folder: Path, keep: int):
        self._folder = folder
        self._keep = keep
        self._best = folder / "best.npz"
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, values: Sequence[Any], state: LoopState) -> None:
        """Writes the values of all variables aside, renames, then removes what is older than the newest `keep`."""
        target = self._of(state.step)
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _write(partial / "variables.npz", values)
        (partial / "state.json").write_text(state.model_dump_json())
        _sync(partial / "state.json")
        shutil.rmtree(target, ignore_errors=True)  # of an attempt that went on from an older one
        partial.rename(target)
        for old in self._numbered()[: -self._keep]:
            shutil.rmtree(old)

    def newest(self) -> int:
        """The step of the newest checkpoint; 0 where there is none."""
        checkpoints = self._numbered()
        return int(checkpoints[-1].name.removeprefix("step-")) if checkpoints else 0

    def restore(self, variables: Sequence[Any], step: int) -> LoopState:
        """Sets the variables to those of a step's checkpoint; for step 0 the state of a beginning."""
        if not step:
            return LoopState()
        checkpoint = self._of(step)
        _read(checkpoint / "variables.npz", variables)
        return LoopState.model_validate_json((checkpoint / "state.json").read_text())

    def save_best(self, values: Sequence[Any]) -> None:
        """Keeps the values of the model's variables in the best epoch so far.

        A kill after it and before the next checkpoint is harmless: the epoch is computed again, bit for bit.
        """
        partial = self._best.with_suffix(".partial")
        _write(partial, values)
        partial.rename(self._best)

    def restore_best(self, variables: Sequence[Any]) -> None:
        """Sets the variables to those of the best epoch."""
        _read(self._best, variables)

    def note(self, name: str, choice: str) -> None:
        """Keeps what was chosen when the training began; a resumed training must not choose anew."""
        partial = (self._folder / name).with_suffix(".partial")
        partial.write_text(choice)
        partial.rename(self._folder / name)

    def noted(self, name: str) -> str | None:
        """What was chosen when the training began, if it was."""
        path = self._folder / name
        return path.read_text() if path.exists() else None

    def save_batch(self, step: int, rows: Rows) -> Path:
        """Writes the rows of a step as `nan-step-<step>.npz`: an array for each feature, and `__label__`."""
        path = self._folder / f"nan-step-{step}.npz"
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in rows.features.items()}
        np.savez(path, **arrays, __label__=np.asarray(rows.labels))
        return path

    def remove(self) -> None:
        """Removes the folder, once the training has ended."""
        shutil.rmtree(self._folder)

    def _of(self, step: int) -> Path:
        return self._folder / f"step-{step:012d}"

    def _numbered(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("step-*") if path.suffix != ".partial")


def values_of(variables: Sequence[Any]) -> list[Any]:
    """Copies as arrays; what replicas in several processes sum, all of them have to read together."""
    return [np.asarray(variable).copy() for variable in variables]


def _write(path: Path, values: Sequence[Any]) -> None:
    arrays: dict[str, Any] = {f"v{number}": value for number, value in enumerate(values)}
    with path.open("wb") as file:
        np.savez(file, **arrays)
    _sync(path)


def _read(path: Path, variables: Sequence[Any]) -> None:
    with np.load(path) as stored:
        for number, variable in enumerate(variables):
            variable.assign(stored[f"v{number}"])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
