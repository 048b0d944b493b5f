"""Claims about the `quantizer:` section: what is tried, and which fields contradict each other."""

from typing import Any

import pydantic
import pytest

from components.quantizer.component import Quantizer
from components.quantizer.settings import QuantizerSettings


@pytest.mark.parametrize(
    ("fields", "recipes"),
    [
        ({}, ("int8",)),
        ({"mode": "none"}, ()),
        ({"mode": "auto", "io": "int8"}, ("int8", "dynamic", "float16")),
        ({"mode": "auto", "qat": {}}, ("int8", "int8_qat", "dynamic", "float16")),
        ({"mode": "int8_qat", "io": "int8"}, ("int8_qat",)),
        ({"mode": "int8_qat", "weights": "int4", "qat": {"epochs": 3}}, ("int4_qat",)),
        ({"mode": "dynamic", "weights": "int4"}, ("int4",)),
        ({"mode": "float16", "io": "float32"}, ("float16",)),
    ],
)
def test_mode_says_what_is_tried(fields: dict[str, Any], recipes: tuple[str, ...]) -> None:
    settings = QuantizerSettings(**fields)
    assert settings.recipes == recipes
    assert QuantizerSettings.model_validate_json(settings.model_dump_json()).recipes == recipes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": "int4"}, "got weights int4 with mode int8, expected mode int8_qat or, with"),
        (
            {"mode": "dynamic", "qat": {}},
            "got qat with mode dynamic, which trains nothing; expected mode int8_qat or auto",
        ),
        ({"mode": "float16", "io": "uint8"}, "got io uint8 with mode float16, expected mode int8, int8_qat or auto"),
        ({"max_drop": -0.1}, "greater than or equal to 0"),
        ({"min_agreement": 1.5}, "less than or equal to 1"),
        ({"representative_examples": 0}, "greater than 0"),
        ({"depth": 3}, "Extra inputs are not permitted"),
    ],
)
def test_fields_that_contradict_each_other_or_their_bounds_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        QuantizerSettings(**fields)


def test_component_without_a_file_to_make_is_refused() -> None:
    with pytest.raises(ValueError, match="got mode none"):
        Quantizer(
            model=None, examples=None, schema=None, task="binary", label="y", settings=QuantizerSettings(mode="none")
        )


def test_component_that_trains_without_the_code_and_settings_of_the_trainer_is_refused() -> None:
    settings = QuantizerSettings(mode="int8_qat")
    with pytest.raises(ValueError, match="got mode int8_qat and no module_file or trainer"):
        Quantizer(model=None, examples=None, schema=None, task="binary", label="y", settings=settings)
