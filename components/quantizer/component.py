"""The Quantizer's interface."""

import json
from collections.abc import Sequence

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, Schema, TransformGraph

from components.artifacts import QuantizationBlessing, QuantizationMetrics, TFLiteModel
from components.quantizer.executor import Executor
from components.quantizer.settings import QuantizerSettings
from components.trainer.settings import TrainerSettings


class QuantizerSpec(ComponentSpec):
    """Inputs, outputs and execution properties; every property is part of the cache key."""

    INPUTS = {
        "model": ChannelParameter(type=Model),
        "examples": ChannelParameter(type=Examples),
        "raw_examples": ChannelParameter(type=Examples, optional=True),
        "schema": ChannelParameter(type=Schema),
        "transform_graph": ChannelParameter(type=TransformGraph, optional=True),
        "model_blessing": ChannelParameter(type=ModelBlessing, optional=True),
    }
    OUTPUTS = {
        "tflite_model": ChannelParameter(type=TFLiteModel),
        "blessing": ChannelParameter(type=QuantizationBlessing),
        "metrics": ChannelParameter(type=QuantizationMetrics),
    }
    PARAMETERS = {
        "task": ExecutionParameter(type=str),
        "label": ExecutionParameter(type=str),
        "weight": ExecutionParameter(type=str, optional=True),
        "slices": ExecutionParameter(type=str),
        "settings": ExecutionParameter(type=str),
        "module_file": ExecutionParameter(type=str, optional=True),
        "module_fingerprint": ExecutionParameter(type=str, optional=True),
        "trainer": ExecutionParameter(type=str, optional=True),
    }


class Quantizer(BaseComponent):
    """Converts the model's `transformed` signature to TFLite and compares it with the float model.

    With `include_preprocessing` of `settings` it is `serving_default`, which takes raw features. The comparison runs
    both as TFLite models in the LiteRT interpreter on the whole test split, overall, on each class and on `slices`,
    columns of the raw examples; with a Transform these are `raw_examples`. With the mode `auto` of `settings` several
    conversions are tried, until one passes. Output `tflite_model` holds `model.tflite`, `blessing` says whether it may
    be pushed, `metrics` holds a QuantizationRecord with sizes, metrics, all that was tried and the reasons of a
    refusal. Where there is a `weight`, examples count by that feature.

    Where `settings` ask for quantization-aware training, the model has to be that of a Trainer with the same
    `module_file`, and `trainer` its settings: it is trained on with them, on `examples`.

    Example:
      >>> quantizer = Quantizer(
      ...     model=trainer.outputs["model"],
      ...     examples=transform.outputs["transformed_examples"],
      ...     raw_examples=example_gen.outputs["examples"],
      ...     schema=schema.outputs["schema"],
      ...     transform_graph=transform.outputs["transform_graph"],
      ...     task="binary",
      ...     label="big_tipper",
      ...     settings=QuantizerSettings(mode="auto", max_drop=0.005),
      ... )
    """

    SPEC_CLASS = QuantizerSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: BaseChannel,
        examples: BaseChannel,
        schema: BaseChannel,
        task: str,
        label: str,
        weight: str | None = None,
        slices: Sequence[str] = (),
        transform_graph: BaseChannel | None = None,
        raw_examples: BaseChannel | None = None,
        model_blessing: BaseChannel | None = None,
        settings: QuantizerSettings | None = None,
        module_file: str | None = None,
        module_fingerprint: str | None = None,
        trainer: TrainerSettings | None = None,
    ):
        settings = settings or QuantizerSettings()
        if not settings.recipes:
            raise ValueError(f"got mode {settings.mode}, expected one that makes a file: leave the Quantizer out")
        if transform_graph is not None and raw_examples is None:
            _check_no_need(slices, settings)
        if settings.trains and (module_file is None or trainer is None):
            raise ValueError(f"got mode {settings.mode} and no module_file or trainer, expected those of the Trainer")
        super().__init__(
            spec=QuantizerSpec(
                model=model,
                examples=examples,
                raw_examples=raw_examples,
                schema=schema,
                transform_graph=transform_graph,
                model_blessing=model_blessing,
                tflite_model=Channel(type=TFLiteModel),
                blessing=Channel(type=QuantizationBlessing),
                metrics=Channel(type=QuantizationMetrics),
                task=task,
                label=label,
                weight=weight,
                slices=json.dumps([*slices]),
                settings=settings.model_dump_json(),
                module_file=module_file if settings.trains else None,
                module_fingerprint=module_fingerprint if settings.trains else None,
                trainer=trainer.model_dump_json() if trainer and settings.trains else None,
            )
        )


def _check_no_need(slices: Sequence[str], settings: QuantizerSettings) -> None:
    if slices:
        raise ValueError(f"got slices {', '.join(slices)} and no raw_examples, expected those that have the columns")
    if settings.include_preprocessing:
        raise ValueError("got include_preprocessing and no raw_examples, expected those that the file is to take")
