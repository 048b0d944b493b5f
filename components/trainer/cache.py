"""Where a training holds its decoded examples: in memory, or on disk beside its checkpoints."""

import shutil
from pathlib import Path

import tensorflow as tf

from components.dataset import MIB, Cache, available_memory
from components.trainer.checkpoint import Checkpoints
from components.trainer.settings import TrainerSettings
from components.trainer.workers import Workers

_SHARE = 4  # of the available memory that a split may take; while it is read it takes up to twice as much
_CHOSEN = "most_in_memory"


def cache_of(settings: TrainerSettings, strategy: tf.distribute.Strategy, checkpoint_folder: Path) -> Cache | None:
    """What the settings say; None for memory.

    With `auto` all processes of a training go by the memory that the chief found when it began: on disk the order of
    the examples is another one.

    Args:
      settings: `cache` and `cache_memory_mb` of them.
      strategy: The processes; each has a copy.
      checkpoint_folder: What is on disk is in it, to be removed with it.
    """
    if settings.cache == "memory":
        return None
    workers = Workers(strategy)
    most_in_memory = 0
    if settings.cache == "auto":
        checkpoints = Checkpoints(checkpoint_folder, settings.checkpoint.keep)
        share = checkpoints.noted(_CHOSEN) or available_memory() // (_SHARE * (settings.workers or 1))
        most_in_memory = workers.of_chief(int(share))
        if workers.is_chief:
            checkpoints.note(_CHOSEN, str(most_in_memory))
    folder = _folder(checkpoint_folder) / str(workers.index)
    return Cache(folder, most_in_memory, settings.cache_memory_mb * MIB)


def remove_examples(checkpoint_folder: Path) -> None:
    """Removes what is on disk of a training that has failed; its checkpoints stay."""
    shutil.rmtree(_folder(checkpoint_folder), ignore_errors=True)


def _folder(checkpoint_folder: Path) -> Path:
    return checkpoint_folder / "examples"
