"""The Trainer against plain `keras.Model.fit` and against TFX's own Trainer, and what its options cost.

Paired: two trainings take turns, an epoch each; whole nodes run in turn. Prints, for each comparison, both medians, the
median and the range of the pairs' ratios (over 1: the first is better), and whether the goal is met. Each part has a
process of its own, whose logs go to stderr:

  python -m benchmarks.training
  python -m benchmarks.training --parts fit checkpoint --rows 30000 --images 1000 --epochs 20
"""

import argparse
import dataclasses
import functools
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from benchmarks import keras_training
from benchmarks.trainer_node import NodeRun, run_ours, run_stock, write_inputs
from benchmarks.turns import EpochSeconds, Train, take_turns
from benchmarks.workloads import Workload, make_workloads
from components.dataset import MIB, AnySplit, DiskSplit
from components.dataset.disk import write_split
from components.trainer.checkpoint import Checkpoints, LoopState, values_of
from components.trainer.strategy import make_strategy
from components.trainer.train import train

Lines = Iterator[str]


def compare_fit(workloads: dict[str, Workload], pairs: int) -> Lines:
    """The loop against `fit` on arrays, without XLA and, where Keras chooses it on this device, with."""
    for name, workload in workloads.items():
        training = workload.training([])
        for jit_compile in sorted({False, keras_training.chosen_jit_compile(training)}):
            fit = functools.partial(keras_training.fit, training, jit_compile)
            yield compare_epochs(f"{name}: loop / fit, jit_compile={jit_compile}", workload, loop(workload), fit, 1.0)


def compare_node(workloads: dict[str, Workload], pairs: int) -> Lines:
    """The node, and the examples/s in it, against TFX's Trainer as in its examples, and at its best."""
    for name, goal in (("tabular", 2.5), ("cnn", 1.2)):
        with tempfile.TemporaryDirectory() as folder:
            given = write_inputs(Path(folder), workloads[name])
            ours, stock, best = alternate(
                pairs,
                functools.partial(run_ours, workloads[name], given),
                functools.partial(run_stock, workloads[name], given, as_examples=True),
                functools.partial(run_stock, workloads[name], given, as_examples=False),
            )
        yield line(f"{name}: loop / TFX's Trainer", *(map(_rate, runs) for runs in (ours, stock)), goal)
        yield line(f"{name}: loop / TFX's at its best", *(map(_rate, runs) for runs in (ours, best)))
        yield line(f"{name}: TFX's Trainer / node", *(map(_seconds, runs) for runs in (stock, ours)), 1.5, unit="s")
        yield line(f"{name}: TFX's at its best / node", *(map(_seconds, runs) for runs in (best, ours)), unit="s")


def compare_accumulate(workloads: dict[str, Workload], pairs: int) -> Lines:
    """Four micro-batches against one, of the same global batch."""
    for name in ("cnn", "mobilenet"):
        one, four = (loop(workloads[name], accumulate=parts) for parts in (1, 4))
        yield compare_epochs(f"{name}: accumulate 4 / accumulate 1", workloads[name], four, one, 0.9)


def compare_mirrored(name: str, workloads: dict[str, Workload], pairs: int) -> Lines:
    """Two replicas on two logical CPUs of this machine against one device with the same work.

    A model a process: a second MirroredStrategy in one numbers its collective operations anew, and meets the first's.
    """
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    one, two = (loop(workloads[name], strategy=strategy) for strategy in ("one_device", "mirrored"))
    yield compare_epochs(f"{name}: mirrored over 2 CPUs / one device", workloads[name], two, one, 0.95)


def compare_precision(workloads: dict[str, Workload], pairs: int) -> Lines:
    """Mixed precision against float32 on the device at hand."""
    half = "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"
    for name in ("cnn", "mobilenet"):
        mixed, full = (loop(workloads[name], precision=precision) for precision in (half, "float32"))
        yield compare_epochs(f"{name}: {half} / float32", workloads[name], mixed, full)


def compare_jit(workloads: dict[str, Workload], pairs: int) -> Lines:
    """The step compiled by XLA, which cannot compile the augmentation of the CNN, against the graph."""
    for name in ("mobilenet", "tabular"):
        compiled, graph = (loop(workloads[name], jit=jit) for jit in (True, False))
        yield compare_epochs(f"{name}: jit / graph", workloads[name], compiled, graph)


def compare_disk(workloads: dict[str, Workload], pairs: int) -> Lines:
    """Examples on disk against in memory."""
    for name in ("cnn", "tabular"):
        disk, memory = (loop(workloads[name], cache=cache) for cache in ("disk", "memory"))
        yield compare_epochs(f"{name}: examples on disk / in memory", workloads[name], disk, memory, 0.9)


def measure_checkpoint(workloads: dict[str, Workload], pairs: int) -> Lines:
    """A save of MobileNet (4.3 million parameters) and its Adam, as part of the minute between two."""
    model = keras.applications.MobileNet(weights=None)
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    variables = [*model.variables, *optimizer.variables]
    minutes = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), keep=2)
        for step in range(3 * pairs):
            started = time.monotonic()
            checkpoints.save(values_of(variables), LoopState(step=step))
            minutes.append(60 + time.monotonic() - started)
    yield line("MobileNet: a minute / and a checkpoint", [60.0] * len(minutes), minutes, 0.98, unit="s")


PARTS: dict[str, Callable[[dict[str, Workload], int], Lines]] = {
    "fit": compare_fit,
    "node": compare_node,
    "accumulate": compare_accumulate,
    "mirrored-cnn": functools.partial(compare_mirrored, "cnn"),
    "mirrored-mobilenet": functools.partial(compare_mirrored, "mobilenet"),
    "precision": compare_precision,
    "jit": compare_jit,
    "disk": compare_disk,
    "checkpoint": measure_checkpoint,
}


class StopAtLastBatch(keras.callbacks.Callback):
    """Drives a clock in our loop, which tells callbacks nothing of the validation: the last batch stops it."""

    def __init__(self, clock: EpochSeconds):
        super().__init__()
        self._clock = clock

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._clock.on_epoch_begin(epoch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops it."""
        if batch == self.params["steps"] - 1:
            self._clock.on_test_begin()


def loop(workload: Workload, **settings: Any) -> Train:
    """The Trainer's own training, without export, to be called with a clock."""

    def run(clock: EpochSeconds) -> None:
        with tempfile.TemporaryDirectory() as folder:
            training = workload.training([StopAtLastBatch(clock)], **settings)
            if training.settings.cache == "disk":
                training = dataclasses.replace(training, train=on_disk(training.train, Path(folder, "train")))
            train(training, make_strategy(training.settings), Path(folder, "checkpoints"), folder)

    return run


def on_disk(split: AnySplit, folder: Path) -> DiskSplit:
    """The rows in a file, which the page cache holds."""
    write_split(folder, split.parts())
    return DiskSplit(split.name, folder, 256 * MIB)


def compare_epochs(what: str, workload: Workload, first: Train, second: Train, goal: float | None = None) -> str:
    """Trains both, in turns, and compares examples/s epoch by epoch."""
    taken = take_turns(first, second)
    return line(what, *([len(workload) / seconds for seconds in epochs] for epochs in taken), goal)


def alternate(pairs: int, *runs: Callable[[], NodeRun]) -> list[list[NodeRun]]:
    """Runs all in turn, every other time in reverse; what each returned. A run before them all warms the process up."""
    runs[0]()
    taken: list[list[NodeRun]] = [[] for _ in runs]
    for pair in range(pairs):
        for number in list(range(len(runs)))[:: -1 if pair % 2 else 1]:
            taken[number].append(runs[number]())
    return taken


def line(
    what: str,
    first: Iterator[float] | Sequence[float],
    second: Iterator[float] | Sequence[float],
    goal: float | None = None,
    *,
    unit: str = "examples/s",
) -> str:
    """A line of the table; the ratio is of first to second, pair by pair."""
    one, two = list(first), list(second)
    ratios = [a / b for a, b in zip(one, two, strict=True)]
    ratio = statistics.median(ratios)
    verdict = "" if goal is None else f"  goal {goal:.2f}: {'met' if ratio >= goal else 'MISSED'}"
    medians = f"{statistics.median(one):9,.5g} / {statistics.median(two):9,.5g} {unit:10}"
    return f"{what:40} {medians} = {ratio:5.3f} ({min(ratios):.2f} - {max(ratios):.2f}, n={len(ratios)}){verdict}"


def _rate(run: NodeRun) -> float:
    return run.examples_per_second


def _seconds(run: NodeRun) -> float:
    return run.seconds


def main() -> None:
    """Reads sizes and parts from the command line; one part runs here, several each in a process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rows", type=int, default=12_000, help="of the tabular data")
    parser.add_argument("--images", type=int, default=4_000, help="of the 5,000 digits there are")
    parser.add_argument("--epochs", type=int, default=6, help="over the images; five times as many over the rows")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=3, help="of whole nodes")
    arguments = parser.parse_args()
    if len(arguments.parts) > 1:
        for part in arguments.parts:
            subprocess.run([sys.executable, "-m", "benchmarks.training", *sys.argv[1:], "--parts", part], check=True)
        return
    logging.disable(logging.WARNING)
    table = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # pip writes there
    workloads = make_workloads(
        images=arguments.images, rows=arguments.rows, epochs=arguments.epochs, batch_size=arguments.batch_size
    )
    for text in PARTS[arguments.parts[0]](workloads, arguments.pairs):
        print(text, file=table, flush=True)


if __name__ == "__main__":
    main()
