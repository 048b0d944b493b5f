"""The `data` section of pipeline.yaml: the files, which columns are label and weight, how rows become splits."""

from typing import Any, Literal

import pydantic
from pydantic import Field

from components.example_gen.sources import JOINED_LABEL
from pipeline.section import Section

SPLITS = ("train", "eval", "test")
SPAN, VERSION = "{SPAN}", "{VERSION}"  # in `path`, for a number each


def any_span(path: str) -> str:
    """The glob of all spans and versions."""
    return path.replace(SPAN, "*").replace(VERSION, "*")


class Data(Section):
    """Where the labelled data is and how it is split."""

    format: Literal["csv", "tfrecord", "parquet"] = Field(description="File format; TFRecords hold tf.Example.")
    path: str = Field(
        description="Glob of the files, or the folder of pre-split data; relative to pipeline.yaml. {SPAN} in it is "
        "the number of a span, {VERSION} that of a version: a run is of the newest."
    )
    window: pydantic.PositiveInt = Field(
        default=1, description="Newest spans that a run is of, where `path` has {SPAN}."
    )
    label: str | list[str] = Field(
        description="Name of the label column; or, for task multilabel on CSV and Parquet, the columns of 0 and 1 that "
        "become one feature `label`."
    )
    weight: str | None = Field(
        default=None, description="Column of numbers from 0 on that examples are weighted by; not seen by the model."
    )
    splits: dict[str, int | str] = Field(
        default={"train": 8, "eval": 1, "test": 1},
        description="Ratios of train, eval and test; or, for data split already, a glob below `path` for each.",
    )
    prepare: str | None = Field(
        default=None, description="Python script that makes the data; run once, when no file matches `path`."
    )

    @pydantic.field_validator("splits")
    @classmethod
    def _three_splits(cls, splits: dict[str, Any]) -> dict[str, Any]:
        if set(splits) != set(SPLITS):
            raise ValueError(f"got the splits {sorted(splits)}, expected exactly train, eval and test")
        if len({isinstance(value, str) for value in splits.values()}) != 1:
            raise ValueError("got ratios and globs, expected a ratio for each split or a glob for each")
        if any(isinstance(value, int) and value < 1 for value in splits.values()):
            raise ValueError("expected a ratio of at least 1 for each split")
        return {name: splits[name] for name in SPLITS}

    @pydantic.field_validator("label", mode="before")
    @classmethod
    def _one_label_or_several(cls, label: Any) -> Any:
        several = isinstance(label, list) and all(isinstance(name, str) for name in label)
        if not isinstance(label, str) and not several:
            raise ValueError("expected the name of a column, or a list of names")
        if several and (len(label) < 2 or len(set(label)) < len(label)):
            raise ValueError("expected a list of two columns or more, each once")
        return label

    @pydantic.model_validator(mode="after")
    def _columns(self) -> "Data":
        if isinstance(self.label, list) and self.format == "tfrecord":
            raise ValueError(
                "got several columns as `label`, expected the one feature that holds the labels of a record"
            )
        if self.weight in self.label_columns:
            raise ValueError(f"got {self.weight!r} as `label` and as `weight`, expected two columns")
        return self

    @pydantic.model_validator(mode="after")
    def _spans(self) -> "Data":
        if not self.has_spans and (self.window > 1 or VERSION in self.path):
            raise ValueError(f"got {self.path!r} as `path`, expected {SPAN} in it with `window` or {VERSION}")
        return self

    @property
    def has_spans(self) -> bool:
        """Whether the data comes in spans."""
        return SPAN in self.path

    @property
    def label_columns(self) -> list[str]:
        """The columns that the label is read from."""
        return [self.label] if isinstance(self.label, str) else self.label

    @property
    def label_feature(self) -> str:
        """The feature of an example that is the label."""
        return self.label if isinstance(self.label, str) else JOINED_LABEL

    @property
    def is_split(self) -> bool:
        """Whether the user's data is in one set of files a split already."""
        return any(isinstance(value, str) for value in self.splits.values())
