"""What the machine at hand could do at most: arithmetic and memory, as the measure of what an op does."""

import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

SOURCE = Path(__file__).with_name("peak.cc")


class Peaks(NamedTuple):
    """GFLOP/s in float32 and bfloat16 (where the processor has no such instructions: as in float32), and GB/s."""

    float32: float
    bfloat16: float
    bandwidth: float


def peaks(threads: int) -> Peaks:
    """Measures them, in about 15 s; the best of three, since anything else that runs only takes away."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "peak")
        subprocess.run(
            ["g++", "-O3", "-march=native", "-std=c++17", "-pthread", str(SOURCE), "-o", str(program)], check=True
        )
        runs = [subprocess.run([program, str(threads)], capture_output=True, text=True, check=True) for _ in range(3)]
    rates = [
        max(column) for column in zip(*([float(rate) for rate in run.stdout.split()] for run in runs), strict=True)
    ]
    return Peaks(rates[0], rates[-1], max(bandwidth(threads) for _ in range(3)))


def bandwidth(threads: int, size: int = 2**25) -> float:
    """GB/s of STREAM's add, c = a + b, over arrays far larger than the caches (McCalpin, 1995)."""
    a, b, c = (np.full(size, number, np.float32) for number in (1, 2, 0))
    parts = [slice(size * part // threads, size * (part + 1) // threads) for part in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(lambda part: np.add(a[part], b[part], out=c[part]), parts))
        return 3 * c.nbytes / (time.perf_counter() - started) / 1e9
