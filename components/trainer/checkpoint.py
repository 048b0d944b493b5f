"""The state of a training on disk: every variable bit for bit and what the loop knows; whole or not there.

`tf.train.Checkpoint` and Keras' own files leave out the state of seed generators, so that dropout would differ after a
resume.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic


class LoopState(pydantic.BaseModel):
    """What the loop knows beside the variables; `step` counts optimizer steps, epochs are counted from 0."""

    step: int = 0
    best_loss: float = float("inf")
    best_epoch: int = -1
    seconds: float = 0.0
    epoch_seconds: list[float] = []
    history: dict[str, list[float]] = {}

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

    def save(self, variables: Sequence[Any], state: LoopState) -> None:
        """Writes aside, renames, then removes what is older than the newest `keep`."""
        target = self._folder / f"step-{state.step:012d}"
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _write(partial / "variables.npz", variables)
        (partial / "state.json").write_text(state.model_dump_json())
        _sync(partial / "state.json")
        shutil.rmtree(target, ignore_errors=True)  # of an attempt that went on from an older one
        partial.rename(target)
        for old in self._numbered()[: -self._keep]:
            shutil.rmtree(old)

    def restore(self, variables: Sequence[Any]) -> LoopState:
        """Sets the variables to the newest checkpoint's; the state of a beginning where there is none."""
        checkpoints = self._numbered()
        if not checkpoints:
            return LoopState()
        _read(checkpoints[-1] / "variables.npz", variables)
        return LoopState.model_validate_json((checkpoints[-1] / "state.json").read_text())

    def save_best(self, variables: Sequence[Any]) -> None:
        """Keeps the variables of the best epoch so far.

        A kill after it and before the next checkpoint is harmless: the epoch is computed again, bit for bit.
        """
        partial = self._best.with_suffix(".partial")
        _write(partial, variables)
        partial.rename(self._best)

    def restore_best(self, variables: Sequence[Any]) -> None:
        """Sets the variables to those of the best epoch."""
        _read(self._best, variables)

    def choose_once(self, name: str, choose: Callable[[], str]) -> str:
        """What `choose` returned when the training began; a resumed training must not choose anew."""
        path = self._folder / name
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.write_text(choose())
            partial.rename(path)
        return path.read_text()

    def save_batch(self, step: int, features: Mapping[str, Any], labels: Any) -> Path:
        """Writes the rows of a step as `nan-step-<step>.npz`: an array for each feature, and `__label__`."""
        path = self._folder / f"nan-step-{step}.npz"
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in features.items()}
        np.savez(path, **arrays, __label__=np.asarray(labels))
        return path

    def remove(self) -> None:
        """Removes the folder, once the training has ended."""
        shutil.rmtree(self._folder)

    def _numbered(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("step-*") if path.suffix != ".partial")


def _write(path: Path, variables: Sequence[Any]) -> None:
    arrays: dict[str, Any] = {f"v{number}": np.asarray(variable) for number, variable in enumerate(variables)}
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
