"""Runs the Trainer on tiny data for the tests of it, and holds what it left behind."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
from tfx.components import Transform
from tfx.types.standard_artifacts import Model, TransformGraph

from components import user_code
from components.trainer.component import Trainer
from components.trainer.settings import TrainerSettings
from lineage.records import TrainingRecord
from tests.components import small_data
from tests.components.small_data import LABEL, SPLITS, fixed
from tests.tfx_harness import Given, run_component

X = fixed("x", "FLOAT", 4)
N = fixed("n", "INT", 1)
KEYS = fixed(LABEL, "INT", 1)
NUMBERS = fixed(LABEL, "FLOAT", 1)


@dataclasses.dataclass(frozen=True)
class Trained:
    """What one run of the Trainer left behind."""

    model_run: Path
    record: TrainingRecord
    saved_model: Any
    model: Given
    custom_ops: str

    def predict(self, **features: Any) -> np.ndarray:
        """`serving_default` on raw features."""
        return self.saved_model.signatures["serving_default"](**_tensors(features))["predictions"].numpy()

    def predict_transformed(self, **features: Any) -> np.ndarray:
        """`transformed` on what the model itself takes."""
        return self.saved_model.signatures["transformed"](**_tensors(features))["predictions"].numpy()

    def predict_examples(self, records: list[bytes]) -> np.ndarray:
        """`serve_examples` on serialized tf.Examples."""
        return self.saved_model.signatures["serve_examples"](examples=tf.constant(records))["predictions"].numpy()

    def weights(self, name: str = "best") -> list[np.ndarray]:
        """The weights in a checkpoint, kernel before bias in each layer."""
        found = []
        with h5py.File(self.model_run / f"{name}.weights.h5") as file:
            file["layers"].visititems(
                lambda _, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None
            )
        return found


def _tensors(features: dict[str, Any]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(column) for name, column in features.items()}


def train(
    root: Path,
    data: dict[str, Given],
    source: str,
    *,
    task: str,
    label: str = LABEL,
    weight: str | None = None,
    **settings: Any,
) -> Trained:
    """Runs the Trainer with the user's file `source` and TrainerSettings."""
    root.mkdir(exist_ok=True)
    module = root / "model.py"
    module.write_text(f"import keras\nfrom keras import layers\n\n{source}")

    def component(**channels: Any) -> Trainer:
        fingerprint = user_code.fingerprint(str(module), user_code.HOOKS)
        return Trainer(
            **channels,
            module_file=str(module),
            module_fingerprint=fingerprint,
            task=task,
            label=label,
            weight=weight,
            settings=TrainerSettings(**{"epochs": 2, "batch_size": 16} | settings),
        )

    ran = run_component(root, component, data)
    record = TrainingRecord.load(ran.uri("model_run"))
    assert record is not None
    model = tf.saved_model.load(str(Path(ran.uri("model"), "Format-Serving")))
    [artifact] = ran.outputs["model"]
    custom_ops = artifact.custom_properties["custom_ops"].string_value
    return Trained(Path(ran.uri("model_run")), record, model, Given(Model, ran.uri("model")), custom_ops)


def transform(root: Path, data: dict[str, Given], source: str) -> dict[str, Given]:
    """The Trainer's inputs after the Transform of the user's file `source`."""
    module = root / "preprocessing.py"
    module.write_text(f"import keras\nfrom keras import layers\n{source}")

    def component(**channels: Any) -> Transform:
        return Transform(
            preprocessing_fn="components.transform.preprocessing_fn",
            custom_config={"module_file": str(module)},
            disable_statistics=True,
            **channels,
        )

    ran = run_component(root, component, data)
    return {
        "examples": dataclasses.replace(data["examples"], uri=ran.uri("transformed_examples")),
        "schema": data["schema"],
        "transform_graph": Given(TransformGraph, ran.uri("transform_graph")),
    }


def write(folder: Path, splits: dict[str, small_data.Columns], *features: str) -> dict[str, Given]:
    """The Trainer's inputs without a Transform."""
    return {
        "examples": small_data.examples(folder / "examples", splits),
        "schema": small_data.schema(folder / "schema", *features),
    }


def classes(seed: int) -> dict[str, np.ndarray]:
    """Fifty points of three classes that a linear model tells apart fairly well."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, 50)
    centres = np.array([[2, 0, 0, 1], [0, 2, 0, -1], [0, 0, 2, 0]], np.float32)
    return {"x": centres[labels] + random.normal(size=(50, 4)).astype(np.float32), LABEL: labels}


def with_count(seed: int, label: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    """Fifty rows of x [4] and n [1], and `label(x, n)`."""
    random = np.random.default_rng(seed)
    x, n = random.normal(size=(50, 4)).astype(np.float32), random.integers(0, 5, 50)
    return {"x": x, "n": n, LABEL: label(x, n)}


def numbers(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """A linear function: labels of a regression."""
    return (x[:, 0] - 2 * x[:, 1] + n).astype(np.float32)


CLASSES = {split: classes(seed) for seed, split in enumerate(SPLITS)}
BINARY = {split: with_count(seed, lambda x, n: (x[:, 0] + n > 2).astype(int)) for seed, split in enumerate(SPLITS)}
NUMBERED = {split: with_count(seed, numbers) for seed, split in enumerate(SPLITS)}
