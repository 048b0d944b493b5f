"""One run of a Trainer node, ours or TFX's own, in a real pipeline on the same Examples; for benchmarks.training."""

import dataclasses
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tfx.v1 as tfx
from tfx.dsl.components.base.base_component import BaseComponent

from benchmarks import keras_training
from benchmarks.workloads import Workload
from components import user_code
from components.trainer.component import Trainer
from lineage.records import TrainingRecord
from tests.components import small_data
from tests.components.small_data import LABEL, fixed
from tests.tfx_harness import Given, run_component


@dataclasses.dataclass(frozen=True)
class NodeRun:
    """Seconds of the whole node by MLMD, and examples/s of its epochs' training after the first, median."""

    seconds: float
    examples_per_second: float


def write_inputs(folder: Path, workload: Workload) -> dict[str, Given]:
    """The rows as Examples, all of them to train on and a tenth again to validate on, and their Schema."""
    few = {name: column[: len(workload) // 10] for name, column in workload.columns.items()}
    features = [
        fixed(name, "FLOAT" if column.dtype == np.float32 else "INT", *(column.shape[1:] or (1,)))
        for name, column in workload.columns.items()
    ]
    return {
        "examples": small_data.examples(folder / "examples", {"train": workload.columns, "eval": few, "test": few}),
        "schema": small_data.schema(folder / "schema", *features),
    }


def run_ours(workload: Workload, given: dict[str, Given]) -> NodeRun:
    """The Trainer as the pipeline has it."""

    def make(**channels: Any) -> BaseComponent:
        return Trainer(
            **channels,
            module_file=str(workload.model),
            module_fingerprint=user_code.fingerprint(str(workload.model), user_code.HOOKS),
            task=workload.task,
            label=LABEL,
            settings=workload.settings(),
        )

    return _run(make, given, _recorded)


def run_stock(workload: Workload, given: dict[str, Given], *, as_examples: bool) -> NodeRun:
    """TFX's Trainer for the same model, rows and epochs.

    As TFX's examples have it: a module_file, and a MirroredStrategy on however few devices. Else at its best: run_fn by
    import path, which needs no wheel, and no strategy.
    """
    user_fn = (
        {"module_file": keras_training.__file__} if as_examples else {"run_fn": "benchmarks.keras_training.run_fn"}
    )
    config = {
        "model": str(workload.model),
        "task": workload.task,
        "label": LABEL,
        "hyperparameters": workload.hyperparameters,
        "epochs": workload.epochs,
        "batch_size": workload.batch_size,
        "mirrored": as_examples,
    }

    def make(**channels: Any) -> BaseComponent:
        return tfx.components.Trainer(
            **channels,
            **user_fn,
            train_args=tfx.proto.TrainArgs(num_steps=len(workload) // workload.batch_size),
            eval_args=tfx.proto.EvalArgs(num_steps=max(1, len(workload) // 10 // workload.batch_size)),
            custom_config=config,
        )

    trained = len(workload) // workload.batch_size * workload.batch_size
    return _run(make, given, lambda folder: trained / statistics.median(_epoch_seconds(folder)[1:]))


def _run(make: Callable[..., BaseComponent], given: dict[str, Given], rate: Callable[[str], float]) -> NodeRun:
    with tempfile.TemporaryDirectory() as folder:
        ran = run_component(Path(folder), make, given)
        milliseconds = ran.execution.last_update_time_since_epoch - ran.execution.create_time_since_epoch
        return NodeRun(milliseconds / 1000, rate(ran.uri("model_run")))


def _recorded(model_run: str) -> float:
    record = TrainingRecord.load(model_run)
    assert record is not None
    return record.examples_per_second


def _epoch_seconds(model_run: str) -> list[float]:
    return json.loads(Path(model_run, keras_training.EPOCHS_FILE).read_text())
