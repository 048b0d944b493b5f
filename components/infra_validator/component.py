"""The InfraValidator's interface."""

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model

from components.infra_validator.executor import Executor


class InfraValidatorSpec(ComponentSpec):
    """Inputs, outputs and execution properties; every property is part of the cache key."""

    INPUTS = {"model": ChannelParameter(type=Model), "examples": ChannelParameter(type=Examples)}
    OUTPUTS = {"blessing": ChannelParameter(type=InfraBlessing)}
    PARAMETERS = {"split": ExecutionParameter(type=str), "requests": ExecutionParameter(type=int)}


class InfraValidator(BaseComponent):
    """Serves the model from a separate process and compares the answers with the model called directly.

    Raw examples go over gRPC to the signature `serving_default`, one a request, as the named tensors that it takes;
    the same examples, serialized, go to the signature `serve_examples` in this process. Where `serving_default` takes
    serialized examples itself, as TFX's own examples export it, it is compared with itself. The blessing is TFX's own:
    the file INFRA_BLESSED or INFRA_NOT_BLESSED and the custom property `blessed`, with an InfraRecord and the server's
    log beside them. A model that is refused does not fail the component.

    Args:
        model: the exported model (type Model).
        examples: raw examples (type Examples), gzipped TFRecords of tf.Example.
        split: the split whose first examples are sent.
        requests: how many are sent; at least 1.

    Raises:
        ValueError: requests is below 1.
        InputError: when run: the split is not among those of the examples, or is empty.

    Example:
        validator = InfraValidator(model=trainer.outputs["model"], examples=example_gen.outputs["examples"])
        validator.outputs["blessing"]
    """

    SPEC_CLASS = InfraValidatorSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: BaseChannel,
        examples: BaseChannel,
        split: str = "test",
        requests: int = 16,
    ) -> None:
        if requests < 1:
            raise ValueError(f"requests={requests}: expected at least 1, an example to ask the server about.")
        super().__init__(
            spec=InfraValidatorSpec(
                model=model,
                examples=examples,
                split=split,
                requests=requests,
                blessing=Channel(type=InfraBlessing),
            )
        )
