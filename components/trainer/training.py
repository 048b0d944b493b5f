"""What is trained on what, and how to make the model of it."""

import dataclasses
from pathlib import Path
from types import ModuleType

import keras
import tensorflow as tf

from components.dataset import AnySplit
from components.trainer import model, precision
from components.trainer.settings import TrainerSettings
from components.trainer.target import target_of


@dataclasses.dataclass(frozen=True)
class Training:
    """What is trained, on what, how, and from which weights on; the rows are in memory or on disk."""

    module: ModuleType
    inputs: dict[str, tf.TensorSpec]
    task: str
    settings: TrainerSettings
    train: AnySplit
    validation: AnySplit
    warm_start: Path | None = None

    def build(self, dtype_policy: str, strategy: tf.distribute.Strategy | None = None) -> model.Built:
        """A new compiled model under a Keras dtype policy, its variables on the devices of the strategy."""
        # Else names would count on from models before: auc_1, dense_7. Not inside the scope, which it would break.
        keras.backend.clear_session()
        keras.utils.set_random_seed(self.settings.seed)
        with (strategy or tf.distribute.get_strategy()).scope(), precision.policy(dtype_policy):
            target = target_of(self.task, (self.train, self.validation))
            return model.build(self.module, self.inputs, target=target, settings=self.settings)
