"""How the TFLite model is made: the `quantizer:` section of pipeline.yaml and the Quantizer's execution property.

Imports no TensorFlow, so that a config is checked at once.
"""

from typing import Literal

import pydantic
from pydantic import Field, PositiveFloat, PositiveInt

# One way to make a file; a mode is one of them, or several.
Recipe = Literal["int8", "int8_qat", "int4_qat", "dynamic", "float16", "int4"]
LADDER: tuple[Recipe, ...] = ("int8", "int8_qat", "dynamic", "float16")  # for `auto`: smallest and fastest first
TRAINED: dict[Recipe, int] = {"int8_qat": 8, "int4_qat": 4}  # by fine-tuning; bits of the kernels
INTEGER: tuple[Recipe, ...] = ("int8", *TRAINED)  # nothing in the file may compute in float


class QatSettings(pydantic.BaseModel):
    """How a trained model is fine-tuned for its quantized file; all else is as in the `trainer:` section."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    epochs: PositiveInt = Field(default=5, description="Passes over the train split; the best one is taken.")
    learning_rate: PositiveFloat = Field(
        default=0.001, description="Of Adam at the beginning; it falls to zero along a cosine."
    )


class QuantizerSettings(pydantic.BaseModel):
    """How the model is quantized and how much worse than the float model it may be."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    mode: Literal["none", "float16", "dynamic", "int8", "int8_qat", "auto"] = Field(
        default="int8",
        description="int8: weights and activations; int8_qat: the same after quantization-aware training; dynamic: "
        "weights int8, activations float32 between the ops; float16: weights; auto: the first of int8, int8_qat (where "
        "qat is given), dynamic and float16 that passes the gate; none: only the float SavedModel is pushed.",
    )
    qat: QatSettings | None = Field(
        default=None,
        description="How int8_qat fine-tunes; without it as its defaults are. With mode auto, {} lets it be tried.",
    )
    io: Literal["uint8", "int8", "float32"] | None = Field(
        default=None, description="What an int8 model takes for float inputs, and what it gives; null: uint8."
    )
    weights: Literal["int8", "int4"] = Field(
        default="int8",
        description="int4: with mode int8_qat or dynamic; smaller, and slower, since they are unpacked at each call.",
    )
    max_drop: float = Field(
        default=0.005,
        ge=0,
        description="Most the quantized model may be worse: of accuracy in points of 1; of a regression's mean "
        "absolute error as a share of the error of always predicting the median.",
    )
    max_slice_drop: float | None = Field(
        default=0.05,
        ge=0,
        description="The same on each class and on each of evaluator.slices, refused where the 95 % interval of the "
        "drop lies above it as a whole; null: slices refuse nothing.",
    )
    min_agreement: float | None = Field(
        default=None, ge=0, le=1, description="Least share of examples of which both models say the same class."
    )
    representative_examples: PositiveInt = Field(
        default=200,
        description="Examples of the train split from which activation ranges are taken, stratified by label.",
    )
    seed: int = Field(default=0, description="Seeds the choice of the representative examples.")
    include_preprocessing: bool = Field(
        default=False,
        description="Put preprocessing_fn into the file, which then takes the raw features; numbers only.",
    )
    class_names: tuple[str, ...] = Field(
        default=(), description="What the classes are called, from the first; written into the file for the app."
    )
    measure: bool = Field(
        default=True,
        description="Measure latency and memory of the files and of the SavedModel, which takes some six seconds.",
    )

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """What is tried, in this order, until one passes the gate; nothing with mode none."""
        if self.mode == "none":
            return ()
        if self.mode == "auto":
            return tuple(recipe for recipe in LADDER if recipe not in TRAINED or self.qat is not None)
        if self.weights == "int4":
            return ("int4_qat",) if self.mode == "int8_qat" else ("int4",)
        return (self.mode,)

    @property
    def trains(self) -> bool:
        """Whether a recipe fine-tunes the model."""
        return any(recipe in TRAINED for recipe in self.recipes)

    @property
    def fine_tuning(self) -> QatSettings:
        """How it is fine-tuned."""
        return self.qat or QatSettings()

    @pydantic.model_validator(mode="after")
    def _fields_of_the_mode(self) -> "QuantizerSettings":
        if self.weights == "int4" and self.mode not in ("int8_qat", "dynamic"):
            raise ValueError(
                f"got weights int4 with mode {self.mode}, expected mode int8_qat or, with activations that stay "
                "float32, dynamic"
            )
        if self.io not in (None, "float32") and self.mode not in ("int8", "int8_qat", "auto"):
            raise ValueError(
                f"got io {self.io} with mode {self.mode}, expected mode int8, int8_qat or auto: without integer "
                "activations a model takes and gives float32"
            )
        if self.qat is not None and self.mode not in ("int8_qat", "auto"):
            raise ValueError(f"got qat with mode {self.mode}, which trains nothing; expected mode int8_qat or auto")
        return self
