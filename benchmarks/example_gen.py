"""ColumnarExampleGen against TFX's CsvExampleGen: the same CSV, paired interleaved runs through a real pipeline.

Prints, for each, the median wall time of the component's run and microseconds a row, and the ratio of the two:

  python -m benchmarks.example_gen --rows 300000 --pairs 3
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from tfx.components import CsvExampleGen
from tfx.dsl.components.base.base_component import BaseComponent

from components.example_gen.component import ColumnarExampleGen
from tests.tfx_harness import run_component


def main() -> None:
    """Reads the sizes from the command line, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        size = write_csv(data, arguments.rows, arguments.columns)
        print(f"{arguments.rows:,} rows x {arguments.columns} columns, {size / 1e6:.1f} MB, {arguments.pairs} pair(s)")
        compare(Path(folder), str(data), arguments.rows, arguments.pairs)


def write_csv(folder: Path, rows: int, columns: int) -> int:
    """Writes integers, floats, words of a few and words nearly all different, in turn; returns the bytes."""
    folder.mkdir()
    random = np.random.default_rng(0)
    kinds: list[Callable[[], pa.Array]] = [
        lambda: pa.array(random.integers(0, 1_000_000, rows)),
        lambda: pa.array(random.normal(size=rows)),
        lambda: pa.array(random.choice(["alpha", "beta", "gamma", "delta"], rows)),
        lambda: pa.array([f"user-{number}" for number in random.integers(0, 10**9, rows)]),
    ]
    table = pa.table({f"c{index}": kinds[index % len(kinds)]() for index in range(columns)})
    pyarrow.csv.write_csv(table, folder / "data.csv")
    return (folder / "data.csv").stat().st_size


def compare(root: Path, data: str, rows: int, pairs: int) -> None:
    """Runs the two in turn and prints their medians: wall time, and processor time for where the machine is busy."""
    makes: dict[str, Callable[[], BaseComponent]] = {
        "CsvExampleGen": lambda: CsvExampleGen(input_base=data),
        "ColumnarExampleGen": lambda: ColumnarExampleGen(input_base=data, label="c0", task="regression"),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in makes}
    for pair in range(pairs):
        for name, make in makes.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            run_component(root / f"{name}-{pair}", make, {})
            taken[name].append((time.perf_counter() - start, time.process_time() - start_cpu))
    medians = {name: [statistics.median(some) for some in zip(*runs, strict=True)] for name, runs in taken.items()}
    for name, (wall, cpu) in medians.items():
        per_row = f"{wall / rows * 1e6:6.1f} us a row, processor {cpu / rows * 1e6:6.1f} us a row"
        print(f"{name:20} {wall:7.2f} s  {per_row}  ({', '.join(f'{run:.2f}' for run, _ in taken[name])} s)")
    (stock, stock_cpu), (ours, ours_cpu) = medians.values()
    print(f"ratio {stock / ours:.1f}, of processor time {stock_cpu / ours_cpu:.1f}")


if __name__ == "__main__":
    main()
