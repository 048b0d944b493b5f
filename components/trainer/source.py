"""From TFX's channels to what is trained, and from what was trained to the SavedModel that takes raw examples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tfx.types.artifact import Artifact
from tfx.types.artifact_utils import get_single_instance

from components import dataset, user_code
from components.trainer.cache import cache_of
from components.trainer.export import export
from components.trainer.settings import TrainerSettings
from components.trainer.training import Training


class Source:
    """The examples of the channels `examples`, `schema` and `transform_graph`, and the model that takes them.

    Args:
      input_dict: The inputs of a component.
      exec_properties: Its properties `module_file`, `task`, `label` and `weight`.
    """

    def __init__(self, input_dict: Mapping[str, list[Artifact]], exec_properties: Mapping[str, Any]):
        schema = dataset.read_schema(get_single_instance(list(input_dict["schema"])))
        self._examples = input_dict["examples"]
        self._transform = dataset.read_transform(input_dict.get("transform_graph"))
        self._spec = dataset.with_image_sizes(dataset.model_spec(schema, self._transform), self._examples)
        self._label, self._weight = exec_properties["label"], exec_properties.get("weight")
        apart = (self._label, self._weight)
        self._raw_spec = {name: spec for name, spec in dataset.raw_spec(schema).items() if name not in apart}
        self._task = exec_properties["task"]
        self.module = user_code.load(exec_properties["module_file"])
        self.inputs = dataset.input_specs(self._spec, self._label, self._weight)

    def training(
        self,
        settings: TrainerSettings,
        strategy: tf.distribute.Strategy,
        checkpoint_folder: Path,
        warm_start: Path | None = None,
    ) -> Training:
        """The training on the split `train`, validated on `eval`; both are read, and checked for what is not finite."""
        cache = cache_of(settings, strategy, checkpoint_folder)
        caches = {"train": cache, "eval": cache and cache.in_order()}
        train, validation = (
            dataset.read_split(self._examples, split, self._spec, self._label, self._weight, where)
            for split, where in caches.items()
        )
        for split in (train, validation):
            split.check_finite()
        return Training(self.module, self.inputs, self._task, settings, train, validation, warm_start)

    def export(self, model: keras.Model, folder: str) -> None:
        """Writes the SavedModel of a trained model."""
        export(model, folder, inputs=self.inputs, spec=self._spec, raw_spec=self._raw_spec, transform=self._transform)
