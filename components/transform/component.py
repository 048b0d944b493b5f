"""The Transform's interface: TFX's, for the user's file by path."""

from tfx import components as tfx_components
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import BaseChannel

from components.transform.executor import Executor


class Transform(tfx_components.Transform):
    """Runs `preprocessing_fn` of the user's file over the examples; the outputs are those of TFX's Transform.

    Workers of Beam need not have the file: its source, and that of the modules beside it that it imports, goes with
    the job.

    Example:
      >>> transform = Transform(
      ...     examples=example_gen.outputs["examples"],
      ...     schema=schema.outputs["schema"],
      ...     module_file="/project/model.py",
      ...     module_fingerprint=user_code.fingerprint("/project/model.py", [user_code.PREPROCESSING]),
      ... )
    """

    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: BaseChannel,
        schema: BaseChannel,
        module_file: str,
        module_fingerprint: str,
        weight: str | None = None,
    ):
        """Looks at nothing yet.

        Args:
          examples: All splits are transformed; those of `train` are analyzed.
          schema: Of the examples.
          module_file: Absolute path of the user's file.
          module_fingerprint: Of what its `preprocessing_fn` reaches, for the cache.
          weight: The feature that examples are weighted by, if any, which passes as it is.
        """
        super().__init__(
            examples=examples,
            schema=schema,
            preprocessing_fn="components.transform.preprocessing_fn",
            custom_config={"module_file": module_file, "module_fingerprint": module_fingerprint, "weight": weight},
            disable_statistics=True,
        )
