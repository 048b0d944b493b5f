"""Float against quantized files: bytes, latency, memory and accuracy, as docs/quantization.md has them.

Three networks are trained on real images, of which the whole test set is asked. Those with random weights are there for
bytes and speed alone: Keras' MobileNetV2 in two sizes, and one layer, which shows what a file and a call take anyway.
All files of a network and its SavedModel are measured as the Quantizer does, in turns, each in processes of its own, a
network at a time. Prints Markdown, and below the rows of a network which goals are met.

  python -m benchmarks.quantizer
  python -m benchmarks.quantizer --networks digits --epochs 1 --seconds 10
  python -m benchmarks.quantizer --fashion-mnist /usr/share/datasets/fashion-mnist

Fashion-MNIST is Debian's package dataset-fashion-mnist; without it two networks are trained on the digits.
"""

import argparse
import dataclasses
import gzip
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.workloads import ROOT, digits
from components import user_code
from components.dataset import Split
from components.quantizer import graph
from components.quantizer.candidates import Attempt, Judge, Maker
from components.quantizer.compare import Truth
from components.quantizer.describe import About, unpack
from components.quantizer.measure import measure
from components.quantizer.settings import QuantizerSettings, Recipe
from components.signatures import TRANSFORMED
from lineage.records import FLOAT, SAVED_MODEL, Measurement
from lineage.units import latency
from tests.components import small_data
from tests.components.small_data import LABEL, fixed

RECIPES: tuple[Recipe, ...] = ("int8", "dynamic", "float16", "int4")
SMALLER, FASTER, LESS_MEMORY, DROP = 3.5, 2.3, 0.65, 0.005  # what int8 is to reach against the float file
FROM_BYTES, FROM_SECONDS = 1e6, 50e-6  # where a file's fixed part, and a call's, no longer decide


@dataclasses.dataclass(frozen=True)
class Network:
    """A trained network and its images; without labels its accuracy is nobody's concern."""

    built: keras.Model
    train: Split
    test: Split
    judged: bool


Images = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]  # train and test: `image` in 0..255 and the label


def of_digits(arguments: argparse.Namespace) -> Network:
    """The network of examples/digits, on 4,000 of the digits."""
    hyperparameters = {"filters": 32, "dropout": 0.4}
    return trained(of_file("examples/digits/model.py", hyperparameters), digit_images(), 4 * arguments.epochs)


def cnn(arguments: argparse.Namespace) -> Network:
    """Two convolutions and 400,000 weights in a dense layer."""
    stack = [layers.Rescaling(1 / 255)]
    for filters in (32, 64):
        stack += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
    stack += [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax")]
    return trained(keras.Sequential([keras.Input([28, 28, 1], name="image"), *stack]), *images(arguments))


def mobilenet(arguments: argparse.Namespace) -> Network:
    """Depthwise separable convolutions, each with BatchNormalization and ReLU6."""
    return trained(of_file("benchmarks/mobilenet.py", {"filters": 32}), *images(arguments))


def one_layer(arguments: argparse.Namespace) -> Network:
    """A dense layer on a digit's pixels."""
    built = keras.Sequential([keras.Input([28, 28, 1], name="image"), layers.Flatten(), layers.Dense(10)])
    rows = split("test", digit_images()[1])
    return Network(built, rows, rows, judged=False)


def mobilenet_v2(size: int) -> Callable[[argparse.Namespace], Network]:
    """Keras' own, with random weights, on random images of `size` x `size` pixels."""

    def make(arguments: argparse.Namespace) -> Network:
        shape = [size, size, 3]
        model = keras.applications.MobileNetV2(input_shape=tuple(shape), weights=None)
        image = keras.Input(shape, name="image")
        built = keras.Model(image, model(layers.Rescaling(1 / 127.5, -1)(image)))
        pixels = np.random.default_rng(0).uniform(0, 255, (16, *shape)).astype(np.float32)
        rows = split("train", {"image": pixels, LABEL: np.zeros(16, np.int64)})
        return Network(built, rows, rows, judged=False)

    return make


NETWORKS: dict[str, Callable[[argparse.Namespace], Network]] = {
    "one-layer": one_layer,
    "digits": of_digits,
    "cnn": cnn,
    "mobilenet": mobilenet,
    "mobilenet-v2-96": mobilenet_v2(96),
    "mobilenet-v2-224": mobilenet_v2(224),
}


def of_file(path: str, hyperparameters: dict[str, float]) -> keras.Model:
    """The model of a user's file."""
    inputs = {"image": tf.TensorSpec([None, 28, 28, 1], tf.float32)}
    return user_code.load(str(ROOT / path)).build_model(inputs, hyperparameters)


def images(arguments: argparse.Namespace) -> tuple[Images, int]:
    """Fashion-MNIST, where it is, and how many epochs."""
    if arguments.fashion_mnist is None:
        return digit_images(), 4 * arguments.epochs
    folder = arguments.fashion_mnist
    train, test = (fashion(folder, prefix) for prefix in ("train", "t10k"))
    return ({name: column[: arguments.images] for name, column in train.items()}, test), arguments.epochs


def digit_images() -> Images:
    """4,000 digits and 1,000."""
    columns = digits(5000)
    return ({n: c[:4000] for n, c in columns.items()}, {n: c[4000:] for n, c in columns.items()})


def fashion(folder: Path, prefix: str) -> dict[str, np.ndarray]:
    """A part of Fashion-MNIST from its gzipped IDX files, whose headers are 16 and 8 bytes."""
    pixels, labels = (
        np.frombuffer(gzip.decompress((folder / f"{prefix}-{name}-ubyte.gz").read_bytes()), np.uint8, offset=skipped)
        for name, skipped in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return {"image": pixels.reshape(-1, 28, 28, 1).astype(np.float32), LABEL: labels.astype(np.int64)}


def split(name: str, columns: dict[str, np.ndarray]) -> Split:
    """Rows in memory."""
    return Split(name, {"image": tf.constant(columns["image"])}, tf.constant(columns[LABEL]))


def trained(built: keras.Model, data: Images, epochs: int) -> Network:
    """Trains with Adam, whose learning rate falls to zero."""
    keras.utils.set_random_seed(0)
    train, test = data
    steps = epochs * -(-len(train[LABEL]) // 64)
    built.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)), "sparse_categorical_crossentropy"
    )
    built.fit(train["image"], train[LABEL], batch_size=64, epochs=epochs, verbose=0)
    return Network(built, split("train", train), split("test", test), judged=True)


def compare(name: str, network: Network, seconds: float) -> Iterator[str]:
    """The rows of a network in the table."""
    settings = QuantizerSettings(max_drop=1, max_slice_drop=None)
    shape = network.test.features["image"].shape[1:]
    inputs = {"image": tf.TensorSpec([None, *shape], tf.float32, name="image")}
    with tempfile.TemporaryDirectory() as folder:
        given = small_data.model(Path(folder, "model"), network.built, fixed("image", "FLOAT", *shape))
        saved_model = Path(given.uri, "Format-Serving")
        maker = Maker(
            saved_model=str(saved_model),
            signature=TRANSFORMED,
            inputs=inputs,
            train=network.train,
            settings=settings,
            about=About("multiclass", LABEL),
        )
        files: dict[str, bytes] = {FLOAT: maker.float_model} | {recipe: maker.make(recipe) for recipe in RECIPES}
        assert not graph.float_ops(graph.read(files["int8"]))
        drops = judged(network, files, settings) if network.judged else {}
        paths = {one: Path(folder, f"{one}.tflite") for one in files}
        for one, path in paths.items():
            path.write_bytes(files[one])
        rows = {"image": network.test.features["image"][:16].numpy()}
        measured = measure({**paths, SAVED_MODEL: saved_model}, rows, TRANSFORMED, seconds)
    for one in measured:
        weights = weight_bytes(files[one.model]) if one.model in files else None
        yield row(name, one, weights, drops.get(one.model))
    yield goals(name, {one.model: one for one in measured}, drops.get("int8"))


def judged(network: Network, files: dict[str, bytes], settings: QuantizerSettings) -> dict[str, Attempt]:
    """What the gate finds of each quantized file, on the whole test set."""
    truth = Truth.of(network.test, task="multiclass", label=LABEL)
    judge = Judge(float_model=files[FLOAT], test=network.test, truth=truth, settings=settings)
    return {recipe: judge.judge(recipe, files[recipe]) for recipe in RECIPES}


def weight_bytes(model: bytes) -> int:
    """Of the constants that the operations take; the rest is the file's fixed part."""
    unpacked = unpack(model)
    numbers = {tensor.buffer for subgraph in unpacked.subgraphs for tensor in subgraph.tensors}
    return sum(len(unpacked.buffers[number].data) for number in numbers if unpacked.buffers[number].data is not None)


HEADER = (
    "| network | file | kB | of these weights | 1 thread: median, 99 % | threads: median, 99 % | memory, MB | accuracy "
    "| drop, points (95 % interval) |\n|---|---|---|---|---|---|---|---|---|"
)


def row(name: str, one: Measurement, weights: int | None, attempt: Attempt | None) -> str:
    """A line of the table; the float file's accuracy stands in the line of int8."""
    found = attempt.found if attempt else None
    times = [f"{latency(each.median)}, {latency(each.p99)}" for each in one.latencies]
    drop = ""
    if found:
        low, high = (100 * end for end in found.drop_interval)
        drop = f"{100 * found.drop:.2f} ({low:.2f} to {high:.2f})"
    cells = [
        name,
        one.model,
        f"{one.bytes / 1000:,.0f}",
        "" if weights is None else f"{weights / 1000:,.0f}",
        times[0],
        times[-1],
        f"{one.memory / 1e6:.1f}",
        f"{found.value:.4f} (float {found.float_value:.4f})" if found else "",
        drop,
    ]
    return f"| {' | '.join(cells)} |"


def goals(name: str, measured: dict[str, Measurement], int8: Attempt | None) -> str:
    """What int8 reaches of its goals against the float file."""
    floats, quantized = measured[FLOAT], measured["int8"]
    large = floats.bytes >= FROM_BYTES
    smaller, times = floats.bytes / quantized.bytes, [one.latencies[0].median for one in (floats, quantized)]
    less = 1 - quantized.memory / floats.memory
    faster = times[0] / times[1]
    said = [
        f"{smaller:.2f} times smaller, {verdict(smaller, SMALLER, large)}",
        f"{faster:.2f} times faster on one thread, {verdict(faster, FASTER, times[0] >= FROM_SECONDS)}",
        f"{100 * less:.0f} % less memory, {verdict(100 * less, 100 * LESS_MEMORY, large)}",
    ]
    if int8 is not None and int8.found is not None:
        said.append(f"drop {100 * int8.found.drop:.2f} points, {verdict(-100 * int8.found.drop, -100 * DROP, True)}")
    return f"goals | {name} int8 | {'; '.join(said)}"


def verdict(reached: float, goal: float, asked: bool) -> str:
    """Whether a goal is met; small files and short calls are not asked."""
    if not asked:
        return f"goal {abs(goal):g} not asked of so small a network"
    return f"goal {abs(goal):g} {'met' if reached >= goal else 'MISSED'}"


def machine() -> str:
    """What is measured on, and what else it does."""
    [model] = {
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    }
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{model}, {len(os.sched_getaffinity(0))} cores, load {load} (1, 5, 15 minutes)"


def main() -> None:
    """Reads sizes from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--fashion-mnist", type=Path, help="folder of its four gzipped IDX files")
    parser.add_argument("--images", type=int, default=20_000, help="of Fashion-MNIST's 60,000, to train on")
    parser.add_argument("--epochs", type=int, default=5, help="over Fashion-MNIST; four times as many over the digits")
    parser.add_argument("--seconds", type=float, default=60, help="of calls, of all files of a network together")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    table = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # TensorFlow writes there
    print(machine(), HEADER, sep="\n", file=table, flush=True)
    for name in arguments.networks:
        for text in compare(name, NETWORKS[name](arguments), arguments.seconds):
            print(text, file=table, flush=True)
    print(machine(), file=table, flush=True)


if __name__ == "__main__":
    main()
