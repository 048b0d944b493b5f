"""Claims about what the Trainer learns from several labels and weighted examples, and about outputs that do not fit.

Expected numbers come from NumPy and scikit-learn on the predictions of the exported model.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import tensorflow as tf

from components.dataset import Split
from components.trainer.target import target_of
from lineage.outcome import InputError
from tests.components.small_data import LABEL, SPLITS, fixed
from tests.components.trainer.small_training import BINARY, CLASSES, KEYS, N, Trained, X, train, with_count, write
from tests.tfx_harness import Given

EPSILON = 1e-7  # Keras clips probabilities at it
W = fixed("w", "FLOAT", 1)


def weighted(seed: int, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows with weights of which some are 0."""
    return rows | {"w": np.random.default_rng(seed).integers(0, 4, len(rows[LABEL])).astype(np.float32)}


def losses(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Binary crossentropy, entry by entry."""
    clipped = np.clip(probabilities, EPSILON, 1 - EPSILON)
    return -np.where(labels, np.log(clipped), np.log(1 - clipped))


WEIGHTED = {split: weighted(seed, BINARY[split]) for seed, split in enumerate(SPLITS)}
ONE_OUTPUT = """
def build_model(inputs_spec, hp):
    assert set(inputs_spec) == {"x", "n"}, "a weight is no input"
    inputs = {name: keras.Input(spec.shape[1:], name=name, dtype=spec.dtype.name) for name, spec in inputs_spec.items()}
    joined = layers.Concatenate()([inputs["x"], layers.Rescaling(0.5)(inputs["n"])])
    outputs = layers.Dense(1, activation="sigmoid")(joined)
    return keras.Model(inputs, layers.Reshape([])(outputs) if hp["flat"] else outputs)

def optimizer(hp):
    return keras.optimizers.SGD(hp["rate"])
"""


@pytest.fixture(scope="module")
def weighted_data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Given]:
    return write(tmp_path_factory.mktemp("weighted"), WEIGHTED, X, N, W, KEYS)


def train_weighted(root: Path, data: dict[str, Given], *, flat: bool, rate: float, **settings: Any) -> Trained:
    settings |= {"hyperparameters": {"flat": flat, "rate": rate}}
    return train(root, data, ONE_OUTPUT, task="binary", weight="w", epochs=2, **settings)


@pytest.mark.parametrize("flat", [False, True], ids=["[batch, 1]", "[batch]"])
def test_loss_is_the_sum_of_weighted_losses_over_the_number_of_rows_and_metrics_are_weighted_means(
    weighted_data: dict[str, Given], tmp_path: Path, flat: bool
) -> None:
    trained = train_weighted(tmp_path, weighted_data, flat=flat, rate=0.1)
    rows, history = WEIGHTED["eval"], trained.record.history
    probabilities = trained.predict(x=rows["x"], n=rows["n"][:, None])
    assert probabilities.shape == (50, 1)
    best, weights = trained.record.best_epoch - 1, rows["w"]
    loss = np.sum(weights * losses(rows[LABEL], probabilities[:, 0])) / len(weights)
    assert history["val_loss"][best] == pytest.approx(loss, rel=1e-5)
    right = (probabilities[:, 0] > 0.5) == rows[LABEL]
    assert history["val_binary_accuracy"][best] == pytest.approx(np.average(right, weights=weights), rel=1e-5)
    auc = sklearn.metrics.roc_auc_score(rows[LABEL], probabilities, sample_weight=weights)
    assert history["val_auc"][best] == pytest.approx(auc, abs=0.02)  # Keras takes 200 thresholds
    assert set(trained.saved_model.signatures["serving_default"].structured_input_signature[1]) == {"x", "n"}


def test_classes_weigh_in_the_training_loss_besides_and_in_no_metric(
    weighted_data: dict[str, Given], tmp_path: Path
) -> None:
    trained = train_weighted(tmp_path, weighted_data, flat=False, rate=0.0, class_weight={1: 3.0}, accumulate=2)
    rows, history = WEIGHTED["train"], trained.record.history
    probabilities = trained.predict(x=rows["x"], n=rows["n"][:, None])[:, 0]
    of_class = np.where(rows[LABEL] == 1, 3, 1)
    loss = np.sum(of_class * rows["w"] * losses(rows[LABEL], probabilities)) / len(of_class)
    assert history["loss"][0] == pytest.approx(loss, rel=1e-5)
    right = (probabilities > 0.5) == rows[LABEL]
    assert history["binary_accuracy"][0] == pytest.approx(np.average(right, weights=rows["w"]), rel=1e-5)


def three_labels(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Three labels of a row."""
    return np.stack([x[:, 0] > 0, x[:, 1] + n > 2, n > 3], axis=1).astype(int)


MULTILABEL = {split: with_count(seed, three_labels) for seed, split in enumerate(SPLITS)}
SEVERAL_OUTPUTS = {
    "Sequential": """
def build_model(inputs_spec, hp):
    return keras.Sequential([keras.Input([4]), layers.Dense(3, activation="sigmoid")])
""",
    "functional": """
def build_model(inputs_spec, hp):
    inputs = {name: keras.Input(spec.shape[1:], name=name, dtype=spec.dtype.name) for name, spec in inputs_spec.items()}
    joined = layers.Concatenate()([inputs["x"], layers.Rescaling(0.5)(inputs["n"])])
    return keras.Model(inputs, layers.Dense(3, activation="sigmoid")(joined))
""",
    "subclassed": """
class Linear(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, activation="sigmoid")

    def call(self, inputs):
        return self.dense(keras.ops.concatenate([inputs["x"], keras.ops.cast(inputs["n"], "float32")], axis=-1))

def build_model(inputs_spec, hp):
    return Linear()
""",
}


@pytest.mark.parametrize("style", SEVERAL_OUTPUTS)
def test_several_labels_are_learned_at_once_whatever_the_model_is(style: str, tmp_path: Path) -> None:
    columns = ["x"] if style == "Sequential" else ["x", "n"]
    rows = {split: {name: MULTILABEL[split][name] for name in (*columns, LABEL)} for split in SPLITS}
    schema = [{"x": X, "n": N}[name] for name in columns]
    data = write(tmp_path / "data", rows, *schema, fixed(LABEL, "INT", 3))
    trained = train(tmp_path, data, SEVERAL_OUTPUTS[style], task="multilabel", epochs=3)
    history, labels = trained.record.history, MULTILABEL["eval"][LABEL]
    names = {"loss", "binary_accuracy", "auc"}
    assert set(history) == names | {f"val_{name}" for name in names}
    assert history["loss"][-1] < history["loss"][0]

    features = {"x": MULTILABEL["eval"]["x"], "n": MULTILABEL["eval"]["n"][:, None]}
    probabilities = trained.predict(**{name: features[name] for name in columns})
    best = trained.record.best_epoch - 1
    assert history["val_loss"][best] == pytest.approx(np.mean(losses(labels, probabilities)), rel=1e-5)
    assert history["val_binary_accuracy"][best] == pytest.approx(np.mean((probabilities > 0.5) == labels), rel=1e-5)
    auc = sklearn.metrics.roc_auc_score(labels, probabilities, average="macro")
    assert history["val_auc"][best] == pytest.approx(auc, abs=0.02)


TWO = np.array([0, 1])
MISFITS = [
    (
        "multiclass",
        [3],
        np.array([0, 7, 2]),
        r"they are \[batch, 3\], the labels \[batch\]: label 7, but .* 3 outputs\. ",
    ),
    ("multiclass", [3], np.array([0, -1]), "label -1, but the model has 3 outputs"),
    ("multiclass", [1], TWO, r"they are \[batch, 1\], the labels \[batch\]\. Task multiclass takes one label a row"),
    ("multiclass", [2, 3], TWO, r"they are \[batch, 2, 3\], the labels \[batch\]\."),
    ("multiclass", [2], np.eye(2, dtype=int), r"they are \[batch, 2\], the labels \[batch, 2\]\."),
    ("multiclass", [2], np.array([0.5, 1.0]), "label holds numbers that are not whole; task multiclass"),
    ("binary", [2], TWO, r"they are \[batch, 2\], the labels \[batch\]\. Task binary takes .* one output"),
    (
        "binary",
        [1],
        np.array([1, 2]),
        r"they are \[batch, 1\], the labels \[batch\]: label 2 is among them\. Task binary",
    ),
    ("multilabel", [2], np.eye(3, dtype=int), r"they are \[batch, 2\], the labels \[batch, 3\]\. Task multilabel"),
    ("multilabel", [1], TWO, r"they are \[batch, 1\], the labels \[batch\]\. Task multilabel takes k labels"),
    ("multilabel", [2], np.array([[0, 2], [1, 0]]), "label 2 is among them"),
    ("regression", [4], np.array([0.5, -3.0]), r"they are \[batch, 4\], the labels \[batch\]\. Task regression"),
    ("regression", [2], np.array([["a"], ["b"]]), "label holds text, expected numbers: task regression"),
]


@pytest.mark.parametrize(("task", "outputs", "labels", "said"), MISFITS)
def test_outputs_that_do_not_fit_the_label_are_told_with_both_shapes(
    task: str, outputs: list[int], labels: np.ndarray, said: str
) -> None:
    splits = [Split(name, {}, tf.constant(labels)) for name in ("train", "eval")]
    with pytest.raises(InputError, match=said):
        target_of(task, splits).check_outputs(tf.TensorShape([2, *outputs]))


def test_greatest_label_of_any_split_counts() -> None:
    train_split, validation = (Split("", {}, tf.constant(labels)) for labels in ([0, 1, 2], [0, 3]))
    target_of("multiclass", [train_split]).check_outputs(tf.TensorShape([2, 3]))
    with pytest.raises(InputError, match="label 3, but the model has 3 outputs"):
        target_of("multiclass", [train_split, validation]).check_outputs(tf.TensorShape([2, 3]))


NO_STEP = """
def augment(features, labels, seed):
    raise AssertionError("a training step")
"""
MODELS = [
    (
        "layers.Dense(2)(x)",
        r"The model's outputs do not fit the label: they are \[batch, 2\].* label 2, but .* 2 outputs",
    ),
    ("{'first': layers.Dense(3)(x)}", "The model of build_model answers with a dict, expected one tensor"),
]


@pytest.mark.parametrize(("outputs", "said"), MODELS)
def test_model_whose_outputs_do_not_fit_is_wrong_input_before_the_first_step(
    tmp_path: Path, outputs: str, said: str
) -> None:
    build_model = f"def build_model(inputs_spec, hp):\n    x = keras.Input([4])\n    return keras.Model(x, {outputs})\n"
    with pytest.raises(InputError, match=said):
        train(tmp_path, write(tmp_path / "data", CLASSES, X, KEYS), build_model + NO_STEP, task="multiclass")
