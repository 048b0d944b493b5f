"""Small models, real inputs and one run of the Quantizer on them, for the tests of this folder."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from components.dataset import Split
from components.quantizer.candidates import Attempt, Judge, Maker, climb
from components.quantizer.compare import Truth
from components.quantizer.component import Quantizer
from components.quantizer.describe import About
from components.quantizer.settings import QuantizerSettings
from components.signatures import TRANSFORMED
from components.trainer.settings import TrainerSettings
from lineage.records import QuantizationRecord
from tests.components import small_data
from tests.components.small_data import LABEL, fixed
from tests.tfx_harness import Given, run_component

ROWS = 300
X = fixed("x", "FLOAT", 8)
KEYS = fixed(LABEL, "INT", 1)


@dataclasses.dataclass(frozen=True)
class Quantized:
    """What one run of the Quantizer left behind, and the SavedModel that it was given."""

    record: QuantizationRecord
    blessed: bool
    tflite: bytes
    saved_model: str

    def float_predictions(self, **features: np.ndarray) -> np.ndarray:
        """The SavedModel's answers, by TensorFlow."""
        signature = tf.saved_model.load(self.saved_model).signatures["transformed"]
        return signature(**{name: tf.constant(column) for name, column in features.items()})["predictions"].numpy()

    def predictions(self, **features: np.ndarray) -> np.ndarray:
        """The answers of the quantized model, row by row; the arithmetic of the affine code is written out here."""
        runner = Interpreter(model_content=self.tflite).get_signature_runner()
        details = runner.get_input_details()
        [(name, output)] = runner.get_output_details().items()
        scale, zero = output["quantization"]
        rows = zip(*features.values(), strict=True)
        answers = [
            runner(**{n: _coded(v, details[n]) for n, v in zip(features, row, strict=True)})[name] for row in rows
        ]
        return (np.concatenate(answers).astype(np.float32) - zero) * scale


def _coded(value: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero = detail["quantization"]
    if value.dtype.kind == "i":
        return value[None]
    return np.clip(np.rint(value[None] / scale) + zero, 0, 255).astype(np.uint8)


def inputs(
    root: Path, built: keras.Model, rows: small_data.Columns, *features: str, schema: tuple[str, ...] = ()
) -> dict[str, Given]:
    """Exports `built` and writes the rows, the same for each split; `schema` where it has more than the model takes."""
    return {
        "model": small_data.model(root / "model", built, *features),
        "examples": small_data.examples(root / "examples", {"train": rows, "eval": rows, "test": rows}),
        "schema": small_data.schema(root / "schema", *(schema or features)),
    }


def quantize(
    root: Path,
    data: dict[str, Given],
    *,
    task: str,
    weight: str | None = None,
    slices: tuple[str, ...] = (),
    measure: bool = False,
    source: str = "",
    trainer: TrainerSettings | None = None,
    **settings: Any,
) -> Quantized:
    """One run of the Quantizer on real MLMD; `source` is the user's file that trained the model, as `trainer` says."""
    chosen = QuantizerSettings(**settings, measure=measure)
    (root / "model.py").write_text(f"import keras\nfrom keras import layers\n\n{source}")
    how = {"task": task, "label": LABEL, "weight": weight, "slices": slices, "settings": chosen}
    how |= {"module_file": str(root / "model.py"), "trainer": trainer or TrainerSettings()}
    ran = run_component(root, lambda **channels: Quantizer(**channels, **how), data)
    record = QuantizationRecord.load(ran.uri("metrics"))
    assert record is not None
    [blessing] = ran.outputs["blessing"]
    blessed = blessing.properties["blessed"].int_value
    assert blessed in (0, 1)
    assert Path(blessing.uri, "BLESSED").exists() == bool(blessed)
    tflite = Path(ran.uri("tflite_model"), "model.tflite").read_bytes()
    return Quantized(record, bool(blessed), tflite, str(Path(data["model"].uri, "Format-Serving")))


def dtypes(model: bytes) -> set[type]:
    """Of all tensors of a file."""
    interpreter = Interpreter(model_content=model)
    return {tensor["dtype"] for tensor in interpreter.get_tensor_details()}


def classifier(inputs: int, units: int, outputs: int, activation: str) -> keras.Model:
    """Two layers with random weights."""
    keras.utils.set_random_seed(1)
    hidden, answers = layers.Dense(units, activation="relu"), layers.Dense(outputs, activation=activation)
    return keras.Sequential([keras.Input([inputs]), hidden, answers])


def points(seed: int) -> np.ndarray:
    """Features `[ROWS, 8]`."""
    return np.random.default_rng(seed).normal(size=(ROWS, 8)).astype(np.float32)


def tried(root: Path, built: keras.Model, *, task: str = "multiclass", **settings: Any) -> list[Attempt]:
    """What is tried with a model that takes `x`, judged on its own answers as labels; without a pipeline."""
    saved_model = str(Path(small_data.model(root / "model", built, X).uri, "Format-Serving"))
    said = np.asarray(built(points(1)))
    labels = said[:, 0] if task == "regression" else np.argmax(said, axis=1)
    split = Split("test", {"x": tf.constant(points(1))}, tf.constant(labels))
    how, inputs = QuantizerSettings(**settings), {"x": tf.TensorSpec([None, 8], tf.float32, name="x")}
    about = About(task=task, label=LABEL)
    maker = Maker(saved_model=saved_model, signature=TRANSFORMED, inputs=inputs, train=split, settings=how, about=about)
    truth = Truth.of(split, task=task, label=LABEL)
    judge = Judge(float_model=maker.float_model, test=split, truth=truth, settings=how)
    return climb(how.recipes, lambda recipe: judge.judge(recipe, maker.make(recipe)))
