"""What quantization-aware training gains over the same fine-tuning without rounding, as docs/quantization.md has it.

Networks are trained on real images; of each, and of the MobileNet-like one after its channels were given ranges that
differ a hundredfold without a change of what it answers, there are files with kernels of 8 and of 4 bits: of what was
trained (at 4 bits with float activations), of the control, and of quantization-aware training. The whole test set is
asked. Prints Markdown.

  python -m benchmarks.qat
  python -m benchmarks.qat --networks mobilenet --epochs 2
  python -m benchmarks.qat --fashion-mnist /usr/share/datasets/fashion-mnist --images 20000
"""

import argparse
import dataclasses
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.quantizer import Images, digit_images, fashion, split
from components.quantizer.answers import ask
from components.quantizer.compare import Truth, compare
from components.quantizer.convert import to_float, to_int4, to_int8
from components.quantizer.int4 import with_int4_kernels
from components.quantizer.interpreter import TFLite
from components.quantizer.measure import measure
from components.quantizer.qat.fine_tuning import Calibration, FineTuning
from components.quantizer.representative import representative
from components.quantizer.settings import QatSettings
from components.signatures import TRANSFORMED
from components.trainer.settings import TrainerSettings
from components.trainer.strategy import make_strategy
from components.trainer.train import train
from components.trainer.training import Training
from lineage.units import latency
from tests.components import small_data
from tests.components.quantizer.uneven import make_uneven
from tests.components.small_data import LABEL, fixed

IMAGE = fixed("image", "FLOAT", 28, 28, 1)
INPUTS = {"image": tf.TensorSpec([None, 28, 28, 1], tf.float32, name="image")}
BATCH, VALIDATED = 64, 500  # rows of a step, and of the train set on which epochs are compared


def cnn(inputs: Any, hp: Any) -> keras.Model:
    """Two convolutions, of which most weights are in the dense layer behind them."""
    x = image = keras.Input([28, 28, 1], name="image")
    x = layers.Rescaling(1 / 255)(x)
    for filters in (16, 32):
        x = normalized(layers.Conv2D(filters, 3, padding="same", use_bias=False)(x))
        x = layers.MaxPooling2D()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.Dropout(0.3)(layers.Flatten()(x))))


def mobilenet(inputs: Any, hp: Any) -> keras.Model:
    """Depthwise separable convolutions."""
    image = keras.Input([28, 28, 1], name="image")
    x = normalized(layers.Conv2D(8, 3, padding="same", use_bias=False)(layers.Rescaling(1 / 255)(image)))
    for filters, strides in ((16, 2), (16, 1), (32, 2), (32, 1)):
        x = normalized(layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(x))
        x = normalized(layers.Conv2D(filters, 1, use_bias=False)(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def normalized(x: Any) -> Any:
    """With BatchNormalization and relu."""
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


@dataclasses.dataclass(frozen=True)
class Network:
    """How a model is built, and the ratio of the ranges of its channels, where they are made to differ."""

    build: Callable[[Any, Any], keras.Model]
    uneven: float | None = None


NETWORKS = {"cnn": Network(cnn), "mobilenet": Network(mobilenet), "mobilenet, uneven": Network(mobilenet, 100.0)}


class Tuned:
    """A trained network, and the full-integer files that are made of it.

    Args:
      network: Which.
      images: Train and test.
      epochs: Of the training.
      qat: Of the fine-tunings.
      folder: For all of it.
    """

    def __init__(self, network: Network, images: Images, epochs: int, qat: QatSettings, folder: Path):
        rows, test = images
        self._folder, self.test = folder, split("test", test)
        self._train = split("train", {name: column[VALIDATED:] for name, column in rows.items()})
        validation = split("eval", {name: column[:VALIDATED] for name, column in rows.items()})
        schedule = keras.optimizers.schedules.CosineDecay(2e-3, epochs * -(-len(self._train) // BATCH))
        module: Any = SimpleNamespace(build_model=network.build, optimizer=lambda hp: keras.optimizers.Adam(schedule))
        settings = TrainerSettings(epochs=epochs, batch_size=BATCH, early_stopping=0, strategy="one_device")
        training = Training(module, INPUTS, "multiclass", settings, self._train, validation)
        trained, _ = train(training, make_strategy(settings), folder / "checkpoints", str(folder))
        if network.uneven:
            make_uneven(trained, network.uneven)
        self.saved_model = self._saved(trained, "trained")
        self.tuning = FineTuning(
            training=training,
            weights=Path(self.saved_model),
            settings=qat,
            calibration=Calibration(examples=200, seed=0),
            folder=folder / "tuned",
        )

    def tuned(self, bits: int, *, aware: bool) -> bytes:
        """The file of what was fine-tuned."""
        made = self.quantized(self._saved(self.tuning.model(bits, aware=aware), f"{bits}-{aware}"))
        return made if bits == 8 else with_int4_kernels(made)

    def quantized(self, saved_model: str) -> bytes:
        """The file of a SavedModel; its kernels are int8."""
        return to_int8(saved_model, representative(self._train, 200, 0))

    def _saved(self, model: keras.Model, name: str) -> str:
        return str(Path(small_data.model(self._folder / name, model, IMAGE).uri, "Format-Serving"))


HEADER = (
    "| network | kernels | float | after training | control | quantization-aware | points more than the control "
    "(95 % interval) | kB: float, after, aware | 1 thread: float, after, aware |\n|---|---|---|---|---|---|---|---|---|"
)


def row(name: str, bits: int, tuned: Tuned) -> str:
    """A line of the table: accuracies on the whole test set, and what the files cost."""
    truth = Truth.of(tuned.test, task="multiclass", label=LABEL)
    floats = to_float(tuned.saved_model)
    after = tuned.quantized(tuned.saved_model) if bits == 8 else to_int4(floats)
    control, aware = tuned.tuned(bits, aware=False), tuned.tuned(bits, aware=True)
    answers = [ask(TFLite(file), tuned.test, "multiclass") for file in (floats, after, control, aware)]
    gain = compare(truth, answers[3], answers[2])  # what the control is worse by
    low, high = (100 * end for end in gain.drop_interval)
    sizes, times = costs([floats, after, aware], tuned.test.features["image"][:16].numpy())
    cells = [
        name,
        f"int{bits}",
        *(f"{compare(truth, one, one).value:.4f}" for one in answers),
        f"{100 * gain.drop:+.2f} ({low:+.2f} to {high:+.2f})",
        sizes,
        times,
    ]
    return f"| {' | '.join(cells)} |"


def costs(files: list[bytes], images: np.ndarray) -> tuple[str, str]:
    """Kilobytes of the files, and medians of the time of one answer on one thread, measured in turns."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {f"{number}": Path(folder, f"{number}.tflite") for number in range(len(files))}
        for path, file in zip(paths.values(), files, strict=True):
            path.write_bytes(file)
        measured = measure(paths, {"image": images}, TRANSFORMED)
    sizes = ", ".join(f"{one.bytes / 1000:.0f}" for one in measured)
    return sizes, ", ".join(latency(one.latencies[0].median) for one in measured)


def main(arguments: argparse.Namespace) -> None:
    """Prints the table, a network at a time."""
    images = digit_images()
    if arguments.fashion_mnist is not None:
        train_rows, test = (fashion(arguments.fashion_mnist, prefix) for prefix in ("train", "t10k"))
        images = {name: column[: arguments.images] for name, column in train_rows.items()}, test
    print(HEADER, flush=True)
    for name in arguments.networks or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            qat = QatSettings(epochs=arguments.qat_epochs, learning_rate=arguments.learning_rate)
            tuned = Tuned(NETWORKS[name], images, arguments.epochs, qat, Path(folder))
            for bits in (8, 4):
                print(row(name, bits, tuned), flush=True)


if __name__ == "__main__":
    logging.getLogger("slipway").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--qat-epochs", type=int, default=QatSettings().epochs)
    parser.add_argument("--learning-rate", type=float, default=QatSettings().learning_rate)
    parser.add_argument("--fashion-mnist", type=Path, help="the folder of its four files")
    parser.add_argument("--images", type=int, default=20000, help="of its train set")
    main(parser.parse_args())
