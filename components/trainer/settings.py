"""How a model is trained: the `trainer:` section of pipeline.yaml and the Trainer's execution property of that name.

Imports no TensorFlow, so that a config is checked at once.
"""

from typing import Literal

import pydantic
from pydantic import Field, PositiveFloat, PositiveInt

LATEST_BLESSED = "latest_blessed"
FOR_RUN_FN = ("epochs", "batch_size", "hyperparameters", "seed", "warm_start")  # what a `run_fn` is told


class CheckpointSettings(pydantic.BaseModel):
    """When the state of the training is written, besides after each epoch and on SIGTERM."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    every_steps: PositiveInt | None = Field(default=None, description="Steps between two checkpoints.")
    every_minutes: PositiveFloat | None = Field(default=5.0, description="Minutes between two checkpoints.")
    keep: PositiveInt = Field(default=2, description="Checkpoints kept.")


class PlateauSettings(pydantic.BaseModel):
    """How the learning rate falls on a plateau."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    patience: PositiveInt = Field(default=2, description="Epochs in a row without a better val_loss.")
    factor: float = Field(default=0.5, gt=0, lt=1, description="What the learning rate is multiplied by.")


class TrainerSettings(pydantic.BaseModel):
    """How the model is trained. Batch sizes are global: over all replicas and micro-batches."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    epochs: PositiveInt = Field(default=10, description="Most passes over the train split.")
    batch_size: PositiveInt = Field(default=128, description="Examples an optimizer step, over all replicas.")
    accumulate: PositiveInt | Literal["auto"] = Field(
        default=1,
        description="Micro-batches that a step is computed in; changes memory, not the result. auto: as few as fit.",
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16", "auto"] = Field(
        default="float32", description="Of the computation; weights and the exported model are float32 always."
    )
    jit: bool | Literal["auto"] = Field(
        default="auto",
        description="Whether XLA compiles forward and backward pass; auto: where it is faster, on a GPU.",
    )
    ops: Literal["custom", "composite", "auto"] = Field(
        default="auto",
        description="Of model.py's calls of custom_ops: custom runs the compiled ops, composite their twins in plain "
        "TensorFlow; auto: the compiled ones where they are built and fit the devices. Exported are the twins always.",
    )
    strategy: Literal["auto", "one_device", "mirrored", "multi_worker"] = Field(
        default="auto",
        description="auto: mirrored where there are several GPUs, else one device; multi_worker: several processes.",
    )
    model_parallel: bool = Field(
        default=False,
        description="A replica has all devices of its process, for the layers that model.py places or shards.",
    )
    workers: int | None = Field(
        default=None,
        ge=2,
        description="Processes of multi_worker on this host; without it those that TF_CONFIG names on several hosts.",
    )
    restarts: int = Field(
        default=3, ge=0, description="Times that multi_worker starts again from its last checkpoint when one dies."
    )
    early_stopping: int = Field(
        default=3, ge=0, description="Epochs without a better val_loss before training ends; 0: never ends early."
    )
    clip_norm: PositiveFloat | None = Field(default=None, description="Greatest norm of the whole gradient.")
    clip_value: PositiveFloat | None = Field(default=None, description="Greatest absolute value in the gradient.")
    clip_variable_norm: PositiveFloat | None = Field(
        default=None, description="Greatest norm of the gradient of each variable."
    )
    on_nan: Literal["stop", "skip"] = Field(
        default="stop",
        description="A gradient that is not finite: stop names the layer and saves the batch; skip omits the step.",
    )
    plateau: PlateauSettings | None = Field(
        default=None, description="Lowers the learning rate where val_loss no longer falls; not with a schedule."
    )
    class_weight: dict[int, PositiveFloat] = Field(
        default={}, description="Weight of each class in the training loss; a class that is not named weighs 1."
    )
    cache: Literal["auto", "memory", "disk"] = Field(
        default="auto",
        description="Where decoded examples are held; auto: in memory if a split takes at most a quarter of what is "
        "available, else on disk, beside the checkpoints.",
    )
    cache_memory_mb: PositiveInt = Field(
        default=256, description="MiB of memory for what is being read of examples on disk; more mix better."
    )
    warm_start: str | None = Field(
        default=None,
        description="Weights to begin with: latest_blessed, those of the latest blessed model, or a path to a "
        ".weights.h5 or .keras file, an output folder of a Trainer, or a pushed version. All of them have to fit.",
    )
    profile: tuple[PositiveInt, PositiveInt] | None = Field(
        default=None,
        description="First and last step, counted from 1, of a profiler's trace for TensorBoard; the report shows "
        "where the time of a step goes.",
    )
    checkpoint: CheckpointSettings = Field(
        default=CheckpointSettings(), description="When the state is written, so that a killed training goes on."
    )
    seed: int = Field(default=0, description="Seeds weights, order of the data, and dropout.")
    hyperparameters: dict[str, int | float | str | bool] = Field(
        default={}, description="Passed to the functions of model.py as `hp`."
    )

    @property
    def micro_batches(self) -> int:
        """Micro-batches of a step; 1 where they are still to be chosen."""
        return 1 if self.accumulate == "auto" else self.accumulate

    @property
    def warm_start_path(self) -> str | None:
        """The path that `warm_start` is, where it is one."""
        return None if self.warm_start == LATEST_BLESSED else self.warm_start

    @pydantic.field_validator("profile")
    @classmethod
    def _first_before_last(cls, profile: tuple[int, int] | None) -> tuple[int, int] | None:
        if profile and profile[0] > profile[1]:
            raise ValueError(f"got the first step {profile[0]} and the last step {profile[1]}, expected first <= last")
        return profile

    @pydantic.model_validator(mode="after")
    def _one_clip(self) -> "TrainerSettings":
        clips = {
            "clip_norm": self.clip_norm,
            "clip_value": self.clip_value,
            "clip_variable_norm": self.clip_variable_norm,
        }
        given = [name for name, value in clips.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"got {' and '.join(given)}, expected one of them")
        return self

    @pydantic.model_validator(mode="after")
    def _workers_of_multi_worker(self) -> "TrainerSettings":
        if self.workers is not None and self.strategy != "multi_worker":
            raise ValueError(f"got workers with the strategy {self.strategy}, expected multi_worker")
        if self.strategy == "multi_worker" and self.accumulate == "auto":
            raise ValueError("got accumulate auto with the strategy multi_worker, expected a number")
        if self.strategy == "mirrored" and self.jit is True:
            raise ValueError("got jit with the strategy mirrored, expected one_device or multi_worker")
        return self

    @pydantic.model_validator(mode="after")
    def _devices_of_replicas(self) -> "TrainerSettings":
        if self.model_parallel and self.strategy == "mirrored":
            raise ValueError("got model_parallel with the strategy mirrored, whose replicas have one device each")
        return self

    @pydantic.model_validator(mode="after")
    def _whole_micro_batches(self) -> "TrainerSettings":
        parts = self.micro_batches * (self.workers or 1)
        if self.batch_size % parts:
            below = self.batch_size - self.batch_size % parts
            nearest = [size for size in (below, below + parts) if size]
            how = f"{parts} (workers x accumulate)" if self.workers else f"{parts}"
            raise ValueError(
                f"batch_size {self.batch_size} cannot be cut into {how} equal micro-batches (accumulate); "
                f"the nearest that can: {' or '.join(map(str, nearest))}"
            )
        return self
