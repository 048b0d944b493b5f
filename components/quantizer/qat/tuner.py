"""From the Quantizer's inputs to SavedModels of what was fine-tuned; nothing is read before it is asked for."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx.types.artifact import Artifact

from components.quantizer.qat.fine_tuning import Calibration, FineTuning, alone, check
from components.quantizer.settings import QuantizerSettings
from components.trainer.settings import TrainerSettings
from components.trainer.source import Source
from components.trainer.strategy import grow_gpu_memory, make_strategy


@dataclasses.dataclass(frozen=True)
class Tuner:
    """Fine-tunes the model that the Trainer made of the same examples.

    Args:
      input_dict: The Quantizer's inputs.
      exec_properties: Its properties, those of the Trainer among them.
      saved_model: The model.
      folder: Where a fine-tuning leaves what the next process goes on from.
    """

    input_dict: Mapping[str, list[Artifact]]
    exec_properties: Mapping[str, Any]
    saved_model: str
    folder: Path

    def check(self) -> None:
        """Raises InputError where the model has a layer that cannot be rounded; builds it, and reads no examples."""
        grow_gpu_memory()
        check(self._source.module, self._source.inputs, self._trainer.hyperparameters)

    def export(self, folder: str, bits: int, *, aware: bool) -> None:
        """Writes the SavedModel of what `FineTuning.model` gives, with all signatures of the Trainer's."""
        self._source.export(self._fine_tuning.model(bits, aware=aware), folder)

    @functools.cached_property
    def _source(self) -> Source:
        return Source(self.input_dict, self.exec_properties)

    @functools.cached_property
    def _trainer(self) -> TrainerSettings:
        return alone(TrainerSettings.model_validate_json(self.exec_properties["trainer"]))

    @functools.cached_property
    def _fine_tuning(self) -> FineTuning:
        settings = QuantizerSettings.model_validate_json(self.exec_properties["settings"])
        return FineTuning(
            training=self._source.training(self._trainer, make_strategy(self._trainer), self.folder),
            weights=Path(self.saved_model),
            settings=settings.fine_tuning,
            calibration=Calibration(settings.representative_examples, settings.seed),
            folder=self.folder,
        )
