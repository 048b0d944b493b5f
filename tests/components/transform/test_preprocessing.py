"""Claims about what Slipway adds to the user's preprocessing_fn; a whole run with one is in tests/end_to_end."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.transform import preprocessing_fn
from lineage.outcome import InputError

INPUTS = {"x": tf.constant([[1.0], [2.0]]), "w": tf.constant([[0.5], [2.0]])}


def preprocessed(folder: Path, returned: str, inputs: dict[str, Any], weight: str = "w") -> dict[str, Any]:
    (folder / "model.py").write_text(f"def preprocessing_fn(inputs):\n    return {returned}\n")
    return preprocessing_fn(inputs, {"module_file": str(folder / "model.py"), "weight": weight})


@pytest.mark.parametrize("returned", ["{'x': inputs['x']}", "dict(inputs)", "{'x': inputs['x'], 'w': inputs.pop('w')}"])
def test_weight_passes_as_it_is_whether_it_is_returned_or_not(tmp_path: Path, returned: str) -> None:
    outputs = preprocessed(tmp_path, returned, dict(INPUTS))
    assert set(outputs) == {"x", "w"}
    assert outputs["w"] is INPUTS["w"]


def test_weight_that_is_changed_or_may_be_missing_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"preprocessing_fn returns 'w', which is data.weight and passes as it is"):
        preprocessed(tmp_path, "{'w': 2 * inputs['w']}", INPUTS)
    sparse = tf.sparse.from_dense(INPUTS["w"])
    with pytest.raises(InputError, match=r"By the schema 'w', which is data.weight, is missing in some examples"):
        preprocessed(tmp_path, "{'x': inputs['x']}", INPUTS | {"w": sparse})
