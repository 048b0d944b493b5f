"""The JSON records that components leave beside their artifacts and that the lineage reader shows.

They are the contract between the two: a component writes one with `save`, `slipway show` and the report read it with
`load`, without importing TensorFlow or TFX. Each kind of record has one file name, inside the artifact's folder.
"""

from pathlib import Path
from typing import ClassVar, Self

import pydantic

CUSTOM_OPS = "custom_ops"  # custom property of the Model that the Trainer makes: what its record says under that name
FLOAT, SAVED_MODEL = "float", "SavedModel"  # what is measured beside the modes of the Quantizer


class Part(pydantic.BaseModel):
    """What a record is made of: unknown fields are errors, and NaN (a metric of an empty slice) survives JSON."""

    model_config = pydantic.ConfigDict(extra="forbid", ser_json_inf_nan="strings")


class Record(Part):
    """A JSON file inside an artifact's folder."""

    FILE_NAME: ClassVar[str]

    def save(self, folder: str) -> None:
        """Writes the record into `folder`, whole or not at all."""
        path = Path(folder) / self.FILE_NAME
        partial = path.with_suffix(".partial")
        partial.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        partial.rename(path)

    @classmethod
    def load(cls, folder: str) -> Self | None:
        """Reads the record in `folder`; None where the component left none."""
        path = Path(folder) / cls.FILE_NAME
        return cls.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else None


class Anomaly(Part):
    """One anomaly that TFDV found: `column` is empty where it concerns the whole split."""

    split: str
    column: str
    kind: str  # an AnomalyInfo.Type name, such as ENUM_TYPE_UNEXPECTED_STRING_VALUES
    description: str
    allowed: bool = False

    @property
    def heading(self) -> str:
        """How a refusal names it: split, column and kind; its description follows after a colon."""
        where = f"column {self.column!r}" if self.column else "the split as a whole"
        return f"split {self.split!r}, {where}: {self.kind}"


class DataGateRecord(Record):
    """What the DataGate saw; in its `blessing` artifact (type DataBlessing)."""

    FILE_NAME = "data_gate.json"
    anomalies: list[Anomaly]


class StepTimes(Part):
    """Where the time of a training step goes: means over the profiled steps, in seconds, that sum to a step's time.

    `input` is waiting for a batch, `all_reduce` exchanging gradients where nothing is computed meanwhile; steps are
    numbered from 1.
    """

    first_step: int
    last_step: int
    input: float
    compute: float
    all_reduce: float
    rest: float

    @property
    def step(self) -> float:
        """Seconds of a step."""
        return sum(self.parts.values())

    @property
    def parts(self) -> dict[str, float]:
        """Seconds by what they go to."""
        return {"input": self.input, "compute": self.compute, "all-reduce": self.all_reduce, "rest": self.rest}


class TrainingRecord(Record):
    """Curves of one training; in the Trainer's `model_run` artifact (type ModelRun).

    `history` maps a Keras metric name (`loss`, `val_loss`, ...) to one value an epoch; `bytes_by_device` a device of
    the chief's process (`GPU:0`) to the bytes of weights and slots on it. `warm_start` is the file or folder of the
    weights that the training began with, empty where it began with random ones; `skipped_steps` were left out,
    since their gradient was not finite. `custom_ops` is what calls of them ran: custom, compiled, or composite, plain
    TensorFlow.
    """

    FILE_NAME = "training.json"
    epochs: int
    best_epoch: int  # 1-based
    parameters: int
    examples_per_second: float
    history: dict[str, list[float]]
    bytes_by_device: dict[str, int] = {}
    warm_start: str = ""
    step_times: StepTimes | None = None
    skipped_steps: int = 0
    custom_ops: str = ""


class Slice(Part):
    """Metrics on one slice of the evaluated split; `name` is empty for the whole split.

    `changes` are the metrics minus those of the blessed model that is compared with; empty where there is none.
    """

    name: str  # such as "label:7"
    examples: int
    metrics: dict[str, float]
    changes: dict[str, float] = {}


class Label(Part):
    """Metrics of one label of a multi-label model on the whole split; `positives` is how many examples have it."""

    name: str  # its column where each label is one, else its number from 0
    positives: int
    metrics: dict[str, float]


class ConfusionMatrix(Part):
    """`counts[i][j]`: examples of true class `labels[i]` predicted as `labels[j]`."""

    labels: list[str]
    counts: list[list[int]]


class EvaluationRecord(Record):
    """The Evaluator's verdict; in its `evaluation` artifact (type ModelEvaluation).

    `weight` is the column by which the metrics are weighted, empty where all examples count the same; numbers of
    examples and the confusion matrix are counts always. `labels` are those of a multi-label model.
    """

    FILE_NAME = "evaluation.json"
    split: str
    weight: str = ""
    slices: list[Slice]
    labels: list[Label] = []
    confusion_matrix: ConfusionMatrix | None
    blessed: bool
    has_baseline: bool
    reasons: list[str]

    @property
    def overall(self) -> dict[str, float]:
        """The metrics on the whole split."""
        return next((part.metrics for part in self.slices if not part.name), {})

    @property
    def changes(self) -> dict[str, float]:
        """Their changes against the blessed model, where there is one."""
        return next((part.changes for part in self.slices if not part.name), {})


class SliceDrop(Part):
    """Float against quantized on some examples of the test split; the numbers are those of a QuantizationRecord.

    `interval` is the 95 % interval of the drop, from the paired answers of the two models.
    """

    name: str  # such as "label:7"; empty for the whole split
    examples: int
    value: float
    float_value: float
    drop: float
    interval: tuple[float, float]


class Control(Part):
    """The same fine-tuning without rounding in it, quantized when it had ended; `value` is the metric of that file.

    Only the `gain` over it is due to quantization-aware training: how much worse the control is, as a drop is, with the
    95 % interval from the paired answers.
    """

    value: float
    gain: float
    interval: tuple[float, float]


class QuantizationCandidate(Part):
    """A way of quantizing that was tried, and the verdict on it; without numbers where it made no file that runs.

    `control` is there where the model was fine-tuned for it.
    `worst_slice` is the one whose drop is the most surely a large one. `notes` do not speak against the file.
    """

    mode: str
    bytes: int | None
    value: float | None
    drop: float | None
    agreement: float | None
    worst_slice: SliceDrop | None
    blessed: bool
    reasons: list[str]
    notes: list[str] = []
    control: Control | None = None


class Latency(Part):
    """Seconds that an answer about one example takes, on so many threads."""

    threads: int
    median: float
    p99: float


class Measurement(Part):
    """A model that ran in a process of its own; `memory` is what it took at most, in bytes, beyond the idle process.

    Of a TFLite file, `operations` is how many it has, and `left_by_xnnpack` names those that the fast delegate leaves.
    """

    model: str  # FLOAT, a mode, or SAVED_MODEL
    bytes: int
    memory: int
    latencies: list[Latency]
    operations: int | None
    left_by_xnnpack: list[str]


class QuantizationRecord(Record):
    """Float against quantized, on the test split; in the Quantizer's `metrics` artifact (type QuantizationMetrics).

    `metric` names what `value` and `float_value` are: accuracy for classification (the mean over the labels, where
    there are several; higher is better), mean absolute error for regression (lower is better). `drop` says how much
    worse the quantized model is, and `max_drop` how much worse it may be: for classification float accuracy -
    quantized accuracy (0.002 = 0.2 points); for regression error - float error as a share of the error of always
    predicting the median label. Where `weighted`, all of these weigh the examples by the column that the config names.

    All this is of the file that was taken, made by `mode`. `candidates` are those that were tried, in this order, the
    last that made a file being the one that was taken; `slices` and `drop_interval` are as in SliceDrop, and
    `max_slice_drop` is what the interval of a slice's drop may not lie above as a whole, None where slices are free.
    `measured` are the float TFLite file, the candidates' and the SavedModel; empty where nothing was measured.
    """

    FILE_NAME = "quantization.json"
    mode: str
    metric: str
    value: float
    float_value: float
    drop: float
    max_drop: float
    agreement: float | None  # share of examples (of labels, where an example has several) on which both say the same
    bytes: int
    float_bytes: int
    examples: int
    weighted: bool = False
    blessed: bool
    reasons: list[str]
    drop_interval: tuple[float, float] | None = None
    max_slice_drop: float | None = None
    min_agreement: float | None = None
    slices: list[SliceDrop] = []
    candidates: list[QuantizationCandidate] = []
    measured: list[Measurement] = []

    @property
    def refused(self) -> list[QuantizationCandidate]:
        """What was tried and is not good enough."""
        return [candidate for candidate in self.candidates if not candidate.blessed]

    @property
    def control(self) -> Control | None:
        """That of the file that was taken, where the model was fine-tuned for it."""
        return next((candidate.control for candidate in self.candidates if candidate.mode == self.mode), None)


class InfraRecord(Record):
    """What the serving check did; in the InfraValidator's `blessing` artifact (type InfraBlessing)."""

    FILE_NAME = "infra_validation.json"
    requests: int
    max_difference: float
    blessed: bool
    reasons: list[str]
