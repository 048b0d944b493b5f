"""One of the models that are measured, in a process of its own; `measure` starts it and tells it when to run.

  python -m components.quantizer.contender MODEL ROWS.npz THREADS SIGNATURE

A MODEL that is a file is run by LiteRT, without TensorFlow; a folder is a SavedModel. ROWS are as it takes them,
quantized where it does. It writes a line of JSON when it has answered once (`Ready`); then it reads a number of
seconds, calls the model that long with one example after the other, and writes the seconds that each call took, until
its input ends.
"""

import abc
import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from components.quantizer.delegate import Delegation, delegation

Rows = dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True)
class Ready:
    """Bytes that the model and its first answer took beyond the idle process, and what XNNPACK took of a TFLite one."""

    memory: int
    operations: int | None
    left: list[str]


class Contender(abc.ABC):
    """A model that is called with one example; its libraries are imported before it is loaded."""

    @abc.abstractmethod
    def load(self) -> None:
        """From here on its memory counts."""

    @abc.abstractmethod
    def call(self, number: int) -> float:
        """Seconds of an answer about the example of that number; what it takes is prepared before the clock runs."""

    def delegation(self) -> Delegation | None:
        """What the delegate took, where there is one."""
        return None


class Lite(Contender):
    """A TFLite file."""

    def __init__(self, path: str, rows: Rows, threads: int, signature: str):
        self._path, self._rows, self._threads, self._signature = path, rows, threads, signature

    def load(self) -> None:
        self._model = Interpreter(model_path=self._path, num_threads=self._threads)
        details = self._model.get_signature_runner(self._signature).get_input_details()
        self._columns = {detail["index"]: self._rows[name] for name, detail in details.items()}
        for tensor, column in self._columns.items():
            self._model.resize_tensor_input(tensor, [1, *column.shape[1:]])
        self._model.allocate_tensors()

    def call(self, number: int) -> float:
        for tensor, column in self._columns.items():
            self._model.set_tensor(tensor, column[number : number + 1])
        begin = time.perf_counter()
        self._model.invoke()
        return time.perf_counter() - begin

    def delegation(self) -> Delegation:
        return delegation(self._model)


class SavedModel(Contender):
    """The same in TensorFlow."""

    def __init__(self, path: str, rows: Rows, threads: int, signature: str):
        import tensorflow as tf  # the others do without

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self._load, self._path, self._signature = tf.saved_model.load, path, signature
        self._examples = [
            {name: tf.constant(column[number : number + 1]) for name, column in rows.items()}
            for number in range(_count(rows))
        ]

    def load(self) -> None:
        self._model = self._load(self._path)

    def call(self, number: int) -> float:
        begin = time.perf_counter()
        self._model.signatures[self._signature](**self._examples[number])
        return time.perf_counter() - begin


def _count(rows: Rows) -> int:
    return len(next(iter(rows.values())))


def _resident(field: str) -> int:
    """Bytes of this process, now (VmRSS) or at most (VmHWM)."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


def _begin(contender: Contender) -> Ready:
    Path("/proc/self/clear_refs").write_text("5")  # the most that was held begins anew
    idle = _resident("VmRSS")
    contender.load()
    contender.call(0)
    memory = _resident("VmHWM") - idle
    found = contender.delegation()
    return Ready(memory, found.operations if found else None, found.left if found else [])


def _run(contender: Contender, examples: int, seconds: float) -> list[float]:
    """At least one call; the one after the waiting is not counted."""
    contender.call(0)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        times.append(contender.call(len(times) % examples))
    return times


def main(path: str, rows_file: str, threads: str, signature: str) -> None:
    """Runs until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    with np.load(rows_file) as file:
        rows = dict(file)
    kind = SavedModel if Path(path).is_dir() else Lite
    contender: Contender = kind(path, rows, int(threads), signature)
    print(json.dumps(dataclasses.asdict(_begin(contender))), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(contender, _count(rows), float(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
