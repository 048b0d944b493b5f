"""The custom ops against plain TensorFlow: eagerly, as a graph and by XLA.

Paired: all contestants of a line are called in turn, many times. Prints for each the median time in ms, and the median
ratio of its time to the op's, turn by turn (over 1: the op is faster); the last columns say which part of what the
machine can do the op does.

  python -m benchmarks.custom_ops
  python -m benchmarks.custom_ops --parts loss matrix_mult --turns 50
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import custom_ops
from benchmarks.machine import Peaks, peaks

SMOOTHING = 0.1
LOSSES = ((256, 32000), (1024, 8192), (128, 1000), (4096, 50257))  # batch x classes
# m x k x n: layers of the usual sizes, one example to large batches, up to the head of a language model.
PRODUCTS = (
    (1, 784, 512), (32, 784, 512), (128, 784, 512), (128, 1024, 1024), (512, 512, 512), (1024, 1024, 1024),
    (64, 3136, 128), (256, 64, 32000),
)  # fmt: skip

Contestants = dict[str, Callable[[], Any]]
Table = Iterator[str]


def losses(limits: Peaks, turns: int) -> Table:
    """Forward and backward pass of the mean loss; `tf.function` is Keras' on one-hot labels, TF's fastest."""
    for batch, classes in LOSSES:
        for dtype in (tf.float32, tf.bfloat16):
            logits, labels = loss_inputs(batch, classes, dtype)
            medians, ratios = in_turn(loss_contestants(logits, labels), turns)
            # The logits are read once and their gradient is written once, whatever else an implementation does.
            moved = 2 * batch * classes * dtype.size / medians["op"] / 1e9
            share = f"{moved:6.1f} GB/s, {100 * moved / limits.bandwidth:.0f} % of STREAM"
            yield line(f"loss {batch}x{classes} {dtype.name}", medians, ratios, share)


def loss_inputs(batch: int, classes: int, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    random = np.random.default_rng(0)
    logits = tf.cast(3 * random.standard_normal((batch, classes), np.float32), dtype)
    return logits, tf.constant(random.integers(0, classes, batch))


def loss_contestants(logits: tf.Tensor, labels: tf.Tensor) -> Contestants:
    def gradient(loss: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[], Any]:
        def run(values: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(values)
                mean = tf.reduce_mean(loss(values))
            return tape.gradient(mean, values)

        return run

    def op(values: tf.Tensor) -> tf.Tensor:
        return custom_ops.smoothed_softmax_xent(values, labels, label_smoothing=SMOOTHING)

    def one_hot(values: tf.Tensor) -> tf.Tensor:
        targets = tf.one_hot(labels, values.shape[1], dtype=values.dtype)
        return keras.losses.categorical_crossentropy(targets, values, from_logits=True, label_smoothing=SMOOTHING)

    found = {"op": called(gradient(op), logits), "tf.function": called(gradient(one_hot), logits)}
    with custom_ops.composite():
        found["XLA"] = called(gradient(op), logits, jit_compile=True)
        found["composite"] = called(gradient(op), logits)
    return found


def called(function: Callable[..., Any], *inputs: tf.Tensor, **options: Any) -> Callable[[], Any]:
    """As a graph that is traced now."""
    return functools.partial(tf.function(function, **options).get_concrete_function(*inputs), *inputs)


def products(limits: Peaks, turns: int) -> Table:
    """Product, bias and relu as a graph, where TensorFlow fuses them too; and with tanh-gelu eagerly."""
    totals: dict[str, list[float]] = {}
    for shape in PRODUCTS:
        medians, ratios = in_turn(product_contestants(*product_inputs(*shape, tf.float32)), turns)
        for name, ratio in ratios.items():
            totals.setdefault(name, []).append(ratio)
        yield line("product " + "x".join(map(str, shape)), medians, ratios, flops(shape, medians["op"], limits.float32))
    means = ", ".join(f"{name} {statistics.geometric_mean(ratios):.2f}" for name, ratios in totals.items())
    yield f"product, geometric mean of the ratios: {means}"


def half_products(limits: Peaks, turns: int) -> Table:
    """The same in bfloat16, and the op in float32."""
    for shape in PRODUCTS:
        contestants = product_contestants(*product_inputs(*shape, tf.bfloat16))
        contestants["op in float32"] = product_contestants(*product_inputs(*shape, tf.float32))["op"]
        medians, ratios = in_turn(contestants, turns)
        share = flops(shape, medians["op"], limits.bfloat16)
        yield line("product " + "x".join(map(str, shape)) + " bfloat16", medians, ratios, share)


def product_inputs(m: int, k: int, n: int, dtype: tf.DType) -> tuple[tf.Tensor, ...]:
    random = np.random.default_rng(0)
    return tuple(tf.cast(random.normal(size=size).astype(np.float32), dtype) for size in ((m, k), (k, n), (n,)))


def product_contestants(a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) -> Contestants:
    fused = functools.partial(custom_ops.matrix_mult, activation="relu")
    eager = functools.partial(custom_ops.matrix_mult, activation="gelu")

    def plain(a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(tf.nn.bias_add(tf.matmul(a, b), bias))

    return {
        "op": called(lambda *inputs: fused(*inputs), a, b, bias),
        "tf.function": called(plain, a, b, bias),
        "XLA": called(plain, a, b, bias, jit_compile=True),
        "op eager, gelu": functools.partial(eager, a, b, bias),
        "TF eager, gelu": lambda: tf.nn.gelu(tf.nn.bias_add(tf.matmul(a, b), bias), approximate=True),
    }


def flops(shape: tuple[int, int, int], seconds: float, peak: float) -> str:
    m, k, n = shape
    rate = 2 * m * k * n / seconds / 1e9
    return f"{rate:6.0f} GFLOP/s, {100 * rate / peak:.0f} % of the peak"


def memory(limits: Peaks, turns: int) -> Table:
    """What forward and backward pass of the largest loss add to the most memory that a process has held."""
    batch, classes = LOSSES[-1]
    for name in ("op", "tf.function", "XLA", "composite"):
        child = [sys.executable, "-m", "benchmarks.custom_ops", "--peak-memory-of", name]
        grown = float(subprocess.run(child, capture_output=True, text=True, check=True).stdout.split()[-1])
        size = grown * 2**20 / (4 * batch * classes)
        yield f"memory of the loss {batch}x{classes} float32, {name}: {grown:.0f} MiB, {size:.1f} x the logits"


def peak_memory_of(name: str) -> float:
    """MiB beyond the inputs, of this process, which has done nothing else."""
    logits, labels = loss_inputs(*LOSSES[-1], tf.float32)
    run = loss_contestants(logits, labels)[name]
    Path("/proc/self/clear_refs").write_text("5")  # the most that was held begins anew
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """MiB of this process, now (VmRSS) or at most (VmHWM)."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1024


def in_turn(contestants: Contestants, turns: int) -> tuple[dict[str, float], dict[str, float]]:
    """Medians of the seconds, and of the ratios to the first's in the same turn; fewer turns where one takes long."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        wait(run())
    started = time.monotonic()
    for turn in range(turns):
        for name in list(contestants)[:: -1 if turn % 2 else 1]:
            begin = time.perf_counter()
            wait(contestants[name]())
            seconds[name].append(time.perf_counter() - begin)
        if turn >= 10 and time.monotonic() - started > 20:
            break
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    first = seconds[next(iter(contestants))]
    pairs = {name: [a / b for a, b in zip(taken, first, strict=True)] for name, taken in seconds.items()}
    return medians, {name: statistics.median(ratios) for name, ratios in pairs.items()}


def wait(result: Any) -> None:
    """On a GPU a call returns before its work is done."""
    tf.experimental.sync_devices() if tf.config.list_logical_devices("GPU") else None


def line(what: str, medians: dict[str, float], ratios: dict[str, float], share: str) -> str:
    cells = [f"{name} {1000 * medians[name]:.3f}" + f" ({ratios[name]:.2f})" * (name != "op") for name in medians]
    return f"{what:34} {' | '.join(cells)} | {share}"


PARTS: dict[str, Callable[[Peaks, int], Table]] = {
    "loss": losses,
    "matrix_mult": products,
    "bfloat16": half_products,
    "memory": memory,
}


def main() -> None:
    """Prints the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--peak-memory-of", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.peak_memory_of:
        print(peak_memory_of(given.peak_memory_of))
        return
    threads = len(os.sched_getaffinity(0))
    limits = peaks(threads)
    print(
        f"This machine, {threads} threads: {limits.float32:.0f} GFLOP/s in float32, {limits.bfloat16:.0f} in bfloat16, "
        f"{limits.bandwidth:.1f} GB/s. Medians in ms; in brackets their ratio to the op.",
        flush=True,
    )
    for part in given.parts:
        for text in PARTS[part](limits, given.turns):
            print(text, flush=True)


if __name__ == "__main__":
    main()
