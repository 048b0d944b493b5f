"""The Quantizer's interface."""

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, Schema, TransformGraph

from components.artifacts import QuantizationBlessing, QuantizationMetrics, TFLiteModel
from components.quantizer.executor import Executor


class QuantizerSpec(ComponentSpec):
    """Inputs, outputs and execution properties; every property is part of the cache key."""

    INPUTS = {
        "model": ChannelParameter(type=Model),
        "examples": ChannelParameter(type=Examples),
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
        "mode": ExecutionParameter(type=str),
        "max_drop": ExecutionParameter(type=float),
        "representative_examples": ExecutionParameter(type=int),
        "seed": ExecutionParameter(type=int),
    }


class Quantizer(BaseComponent):
    """Converts the model's `transformed` signature to TFLite and compares it with the float model.

    The comparison runs both as TFLite models in the LiteRT interpreter on the whole test split. Output `tflite_model`
    holds `model.tflite`, `blessing` says whether it may be pushed, `metrics` holds a QuantizationRecord with sizes,
    metrics and the reasons of a refusal. `max_drop` is the most that accuracy may fall, in points of 1, or, for a
    regression, that the mean absolute error may grow, as a share of the error of always predicting the median. Where
    there is a `weight`, examples count by that feature.

    Example:
      >>> quantizer = Quantizer(
      ...     model=trainer.outputs["model"],
      ...     examples=transform.outputs["transformed_examples"],
      ...     schema=schema.outputs["schema"],
      ...     transform_graph=transform.outputs["transform_graph"],
      ...     task="binary",
      ...     label="big_tipper",
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
        transform_graph: BaseChannel | None = None,
        model_blessing: BaseChannel | None = None,
        mode: str = "int8",
        max_drop: float = 0.005,
        representative_examples: int = 200,
        seed: int = 0,
    ):
        super().__init__(
            spec=QuantizerSpec(
                model=model,
                examples=examples,
                schema=schema,
                transform_graph=transform_graph,
                model_blessing=model_blessing,
                tflite_model=Channel(type=TFLiteModel),
                blessing=Channel(type=QuantizationBlessing),
                metrics=Channel(type=QuantizationMetrics),
                task=task,
                label=label,
                weight=weight,
                mode=mode,
                max_drop=max_drop,
                representative_examples=representative_examples,
                seed=seed,
            )
        )
