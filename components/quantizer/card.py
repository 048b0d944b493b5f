"""What a TFLite file says of itself, so that an app can use it: its card, JSON in the file.

`describe` writes it. Behind the model a TFLite file may be a zip archive, so that anything that opens one reads the
card: `unzip -p model.tflite slipway.json`.
"""

import io
import zipfile
from pathlib import Path
from typing import Literal, Self

import pydantic

from lineage.outcome import InputError

CARD = "slipway.json"
LABELS = "labels.txt"  # by the convention of TFLite's metadata: a name a line


class Feature(pydantic.BaseModel):
    """Values by name; `shape` begins with the batch, and has None for any number."""

    name: str
    dtype: str
    shape: list[int | None]


class Tensor(Feature):
    """An input or the output of the file; `dtype` is what it holds.

    Where there is a scale, the number that is meant is scale * (held - zero_point).
    """

    scale: float | None = None
    zero_point: int | None = None


class Card(pydantic.BaseModel):
    """How to call a TFLite file and how to read its answer.

    `class_names` names the columns of `output`, which are else classes by number; of a regression and of one label
    it is the label. With preprocessing `outside` the caller computes what `preprocessing_fn` of the model's source
    makes of `raw_features`, and calls the file with it; with `inside` the file does, with `none` there is nothing to
    compute. `min_runtime_version` is the oldest TFLite that has all operations, None where that is not known.
    """

    task: str
    label: str
    signature: str
    inputs: list[Tensor]
    output: Tensor
    class_names: list[str]
    preprocessing: Literal["none", "inside", "outside"]
    raw_features: list[Feature]
    min_runtime_version: str | None
    slipway: str
    tensorflow: str

    @classmethod
    def of(cls, model: bytes | Path) -> Self:
        """The card of a TFLite file.

        Raises:
          InputError: it has none, or is no file.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(model) if isinstance(model, bytes) else model) as archive:
                return cls.model_validate_json(archive.read(CARD))
        except (OSError, zipfile.BadZipFile, KeyError, pydantic.ValidationError) as error:
            named = "the model" if isinstance(model, bytes) else model
            raise InputError(
                f"{named} has no {CARD} that says how to call it, expected a model.tflite that `slipway run` made."
            ) from error


def with_files(model: bytes, files: dict[str, str]) -> bytes:
    """The model with texts behind it, by name; the same bytes for the same texts."""
    held = io.BytesIO(model)
    with zipfile.ZipFile(held, "a") as archive:  # stored as they are: TFLite's readers map them
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return held.getvalue()
