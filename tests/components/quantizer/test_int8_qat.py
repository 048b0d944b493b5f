"""Claims about the mode int8_qat, alone and in `auto`, run against real MLMD."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from components.quantizer import convert
from components.quantizer.describe import unpack
from components.trainer.settings import TrainerSettings
from lineage.outcome import InputError
from tests.components.quantizer.quantized import dtypes, quantize
from tests.components.quantizer.test_auto import breaks_under_int8

SOURCE = """
def build_model(inputs_spec, hp):
    hidden = layers.Dense(8, activation="relu", use_bias=False)
    return keras.Sequential([keras.Input([8]), hidden, layers.Dense(4, activation="softmax", use_bias=False)])
"""
EVERY_30 = TrainerSettings(batch_size=30)


def test_auto_trains_where_int8_is_refused_and_it_is_allowed_to(tmp_path: Path) -> None:
    data, qat = breaks_under_int8(tmp_path, ratio=30), {"epochs": 20, "learning_rate": 0.05}
    how = {"mode": "auto", "max_drop": 0.02, "qat": qat, "source": SOURCE, "trainer": EVERY_30}
    quantized = quantize(tmp_path, data, task="multiclass", **how)
    refused, taken = quantized.record.candidates
    assert (refused.mode, refused.blessed, refused.control) == ("int8", False, None)
    assert (taken.mode, taken.blessed, quantized.blessed) == ("int8_qat", True, True)
    control = quantized.record.control
    assert control is not None and taken.value is not None
    assert control.gain == pytest.approx(taken.value - control.value)
    assert refused.value is not None and refused.value < control.value < taken.value
    assert control.interval[0] > 0, "training alone is not what it took"
    assert dtypes(quantized.tflite) <= {np.uint8, np.int8, np.int32}
    assert not [*tmp_path.glob("artifacts/Quantizer/.checkpoints/*")]


def test_weights_of_4_bits_are_in_the_file_as_such(tmp_path: Path) -> None:
    how = {"mode": "int8_qat", "weights": "int4", "qat": {"epochs": 1}, "source": SOURCE, "trainer": EVERY_30}
    quantized = quantize(tmp_path, breaks_under_int8(tmp_path), task="multiclass", **how)
    [tried] = quantized.record.candidates
    assert (tried.mode, quantized.record.mode) == ("int4_qat", "int4_qat")
    [graph] = unpack(quantized.tflite).subgraphs
    packed = [tuple(tensor.shape) for tensor in graph.tensors if tensor.type == schema.TensorType.INT4]
    assert sorted(packed) == [(4, 8), (8, 8)]


def test_layer_that_cannot_be_rounded_is_named_before_anything_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "to_float", None)
    source = SOURCE.replace("[keras.Input([8]), hidden", "[keras.Input([8]), hidden, layers.PReLU(name='bent')")
    with pytest.raises(InputError, match=r"the layer bent \(PReLU\) are rounded, only those of"):
        quantize(tmp_path, breaks_under_int8(tmp_path), task="multiclass", mode="int8_qat", source=source)
