"""What the components of one run have recorded: 1,000 test digits, of which 40 are wrong."""

from lineage.records import (
    Anomaly,
    ConfusionMatrix,
    DataGateRecord,
    EvaluationRecord,
    InfraRecord,
    QuantizationRecord,
    Record,
    Slice,
    TrainingRecord,
)

TRAINING = TrainingRecord(
    epochs=3,
    best_epoch=2,
    parameters=105_866,
    examples_per_second=4_210.4,
    history={
        "loss": [1.2, 0.4, 0.2],
        "val_loss": [0.9, 0.35, 0.4],
        "sparse_categorical_accuracy": [0.6, 0.9, 0.95],
        "val_sparse_categorical_accuracy": [0.7, 0.94, 0.93],
    },
)
EVALUATION = EvaluationRecord(
    split="test",
    slices=[
        Slice(name="", examples=1000, metrics={"sparse_categorical_accuracy": 0.96, "loss": 0.12}),
        Slice(name="label:0", examples=500, metrics={"sparse_categorical_accuracy": 0.99, "loss": 0.03}),
        Slice(name="label:1", examples=500, metrics={"sparse_categorical_accuracy": 0.93, "loss": float("nan")}),
    ],
    confusion_matrix=ConfusionMatrix(labels=["0", "1"], counts=[[495, 5], [35, 465]]),
    blessed=True,
    has_baseline=False,
    reasons=[],
)
QUANTIZATION = QuantizationRecord(
    mode="int8",
    metric="accuracy",
    value=0.958,
    float_value=0.96,
    drop=0.002,
    max_drop=0.005,
    agreement=0.994,
    bytes=113_672,
    float_bytes=427_172,
    examples=1000,
    blessed=True,
    reasons=[],
)
INFRA = InfraRecord(requests=32, max_difference=2.4e-7, blessed=True, reasons=[])
GATE = DataGateRecord(
    anomalies=[
        Anomaly(
            split="eval",
            column="payment_type",
            kind="ENUM_TYPE_UNEXPECTED_STRING_VALUES",
            description="Examples contain values missing from the schema: Prcard (<1%).",
            allowed=True,
        )
    ]
)
RECORDS: dict[str, tuple[str, Record]] = {
    "DataGate": ("DataBlessing", GATE),
    "Trainer": ("ModelRun", TRAINING),
    "Evaluator": ("ModelEvaluation", EVALUATION),
    "Quantizer": ("QuantizationMetrics", QUANTIZATION),
    "InfraValidator": ("InfraBlessing", INFRA),
}
