"""The Pusher's interface."""

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import InfraBlessing, Model, ModelBlessing, PushedModel

from components.artifacts import QuantizationBlessing, TFLiteModel
from components.pusher.executor import Executor


class PusherSpec(ComponentSpec):
    """Inputs, outputs and execution properties; every property is part of the cache key."""

    INPUTS = {
        "model": ChannelParameter(type=Model),
        "tflite_model": ChannelParameter(type=TFLiteModel, optional=True),
        "model_blessing": ChannelParameter(type=ModelBlessing, optional=True),
        "quantization_blessing": ChannelParameter(type=QuantizationBlessing, optional=True),
        "infra_blessing": ChannelParameter(type=InfraBlessing, optional=True),
    }
    OUTPUTS = {"pushed_model": ChannelParameter(type=PushedModel)}
    PARAMETERS = {"destination": ExecutionParameter(type=str), "keep": ExecutionParameter(type=int)}


class Pusher(BaseComponent):
    """Copies the SavedModel and the `.tflite` side by side into the next version of a model's base path.

    The layout is TensorFlow Serving's, `<destination>/<version>/saved_model.pb` and `model.tflite`; a server reads
    either. A version appears whole or not at all, and its number is one more than any before; see `serving.publish`.
    The output's custom properties are those of TFX: `pushed` (1), `pushed_destination` (the version's folder) and
    `pushed_version`.

    Args:
        model: the exported model (type Model).
        destination: base path of the model on the servers' file system; made if it is absent.
        keep: how many of the newest versions stay; at least 1.
        tflite_model: the quantized model (type TFLiteModel).
        model_blessing: the Evaluator's verdict (type ModelBlessing).
        quantization_blessing: the Quantizer's verdict (type QuantizationBlessing).
        infra_blessing: the InfraValidator's verdict (type InfraBlessing).

    Raises:
        ValueError: destination is empty, or keep is below 1.
        GateRefused: when run: a blessing that is connected does not bless; nothing has been copied.

    Example:
        Pusher(
            model=trainer.outputs["model"],
            infra_blessing=validator.outputs["blessing"],
            destination="serving/digits",
            keep=3,
        )
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: BaseChannel,
        destination: str,
        keep: int,
        tflite_model: BaseChannel | None = None,
        model_blessing: BaseChannel | None = None,
        quantization_blessing: BaseChannel | None = None,
        infra_blessing: BaseChannel | None = None,
    ) -> None:
        if not destination:
            raise ValueError("destination='': expected the folder that the model's servers watch.")
        if keep < 1:
            raise ValueError(f"keep={keep}: expected at least 1, the version just pushed.")
        super().__init__(
            spec=PusherSpec(
                model=model,
                tflite_model=tflite_model,
                model_blessing=model_blessing,
                quantization_blessing=quantization_blessing,
                infra_blessing=infra_blessing,
                destination=destination,
                keep=keep,
                pushed_model=Channel(type=PushedModel),
            )
        )
