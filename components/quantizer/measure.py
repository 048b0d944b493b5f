"""How fast the models are and how much memory they take: float, quantized and the SavedModel, side by side.

Each runs in processes of its own, which are called in turn, round after round, so that what else the machine does meets
all alike. One example a call, real ones of the test split.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from components.quantizer.contender import Ready
from components.quantizer.interpreter import quantized
from lineage.records import Latency, Measurement

_ROUNDS = 8
_SECONDS = 2.0  # that the rounds take together
_MOST_THREADS = 4  # a phone has four fast cores
_LIMIT = 300.0  # seconds after which what still runs has hung
_CHILD = "components.quantizer.contender"
_ROOT = Path(__file__).parents[2]


def measure(
    models: Mapping[str, Path], rows: Mapping[str, NDArray[Any]], signature: str, seconds: float = _SECONDS
) -> list[Measurement]:
    """Latency of one example on one thread and on as many as there are cores, at most 4; and peak memory.

    Args:
      models: By name, TFLite files and folders of SavedModels.
      rows: What these take, `[n, ...]` by name, in real units; at least one row.
      signature: By which they are called.
      seconds: That the calls take together, where each takes less than its share of a round; at most twice as many.

    Raises:
      RuntimeError: one of them did not answer.
    """
    threads = sorted({1, min(len(os.sched_getaffinity(0)), _MOST_THREADS)})
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        given = {name: _given(path, rows, signature, Path(folder, f"{name}.npz")) for name, path in models.items()}
        log = stack.enter_context(Path(folder, "log.txt").open("w+"))
        started = {
            (name, number): stack.enter_context(_process([str(path), str(given[name]), str(number), signature], log))
            for name, path in models.items()
            for number in threads
        }
        watch = threading.Timer(_LIMIT, _kill, [started.values()])
        stack.callback(watch.cancel)
        watch.start()
        contests = {key: Contest(process, log) for key, process in started.items()}
        return _measured(models, contests, threads, seconds)


def _given(path: Path, rows: Mapping[str, NDArray[Any]], signature: str, file: Path) -> Path:
    """Writes the rows as the model holds them, so that what makes them so is not measured."""
    held = dict[str, Any](rows)
    if path.is_file():
        details = Interpreter(model_path=str(path)).get_signature_runner(signature).get_input_details()
        held = {name: quantized(rows[name], detail) for name, detail in details.items()}
    np.savez(file, **held)
    return file


@dataclasses.dataclass(frozen=True)
class Contest:
    """The parent's end of a contender."""

    process: "subprocess.Popen[str]"
    log: IO[str]

    def run(self, seconds: float) -> list[float]:
        """The seconds that calls took."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(seconds, file=self.process.stdin, flush=True)
        return list(self.answer())

    def answer(self) -> Any:
        """Its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"a model that was to be measured did not answer: {self.log.read()[-500:]}")
        return json.loads(line)


def _measured(
    models: Mapping[str, Path],
    contests: Mapping[tuple[str, int], Contest],
    threads: Sequence[int],
    seconds: float,
) -> list[Measurement]:
    ready = {key: Ready(**contest.answer()) for key, contest in contests.items()}
    times: dict[tuple[str, int], list[float]] = {key: [] for key in contests}
    end = time.monotonic() + 2 * seconds
    for number in range(_ROUNDS):
        if number and time.monotonic() > end:
            break
        for key, contest in contests.items():
            times[key] += contest.run(seconds / _ROUNDS / len(contests))
    return [
        Measurement(
            model=name,
            bytes=_size(path),
            memory=ready[name, 1].memory,
            latencies=[_latency(number, times[name, number]) for number in threads],
            operations=ready[name, 1].operations,
            left_by_xnnpack=ready[name, 1].left,
        )
        for name, path in models.items()
    ]


def _latency(threads: int, times: list[float]) -> Latency:
    return Latency(threads=threads, median=float(np.median(times)), p99=float(np.quantile(times, 0.99)))


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _kill(processes: "Iterable[subprocess.Popen[str]]") -> None:
    for process in processes:
        process.kill()


@contextlib.contextmanager
def _process(arguments: list[str], log: IO[str]) -> "Iterator[subprocess.Popen[str]]":
    """On the CPU: that is where a TFLite file runs, and the GPU's memory may be another's."""
    paths = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", _CHILD, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": "-1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
