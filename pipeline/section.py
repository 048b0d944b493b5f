"""What every mapping of pipeline.yaml has in common."""

import pydantic


class Section(pydantic.BaseModel):
    """A mapping of the YAML; unknown keys are errors."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
