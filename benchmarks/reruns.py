"""A run in which nothing has to be done again, against TFX's own runner, in new processes and in turns.

Both walk a whole taxi pipeline of 15,002 rows whose nodes are all in the cache. Slipway would see at once that nothing
has changed, so what it has served is taken away before each run: one node, its Pusher, works. Prints medians of the
wall time and of the processor's.

  python -m benchmarks.reruns --pairs 5
"""

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]


def seconds(command: list[str]) -> tuple[float, float]:
    """Of the wall and of the processor, for a process and its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def stock(folder: Path) -> tuple[float, float]:
    """TFX's pipeline by its LocalDagRunner."""
    (folder / "stock").mkdir(exist_ok=True)
    return seconds(["-m", "benchmarks.stock_taxi", str(folder / "stock")])


def ours(folder: Path) -> tuple[float, float]:
    """The taxi example, of which what is served has gone."""
    shutil.rmtree(folder / "slipway" / "serving", ignore_errors=True)
    return up_to_date(folder)


def up_to_date(folder: Path) -> tuple[float, float]:
    """The taxi example, as the run before has left it."""
    return seconds(["-m", "cli.main", "run", "examples/taxi", "--root", str(folder / "slipway")])


def main() -> None:
    """Reads the number of pairs, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    pairs = parser.parse_args().pairs
    runs: dict[str, Callable[[Path], tuple[float, float]]] = {
        "TFX, all cached": stock,
        "Slipway, all but Pusher cached": ours,
        "Slipway, up to date": up_to_date,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first = {name: run(folder) for name, run in runs.items()}
        print(f"first run: TFX {first['TFX, all cached'][0]:.1f} s, Slipway {first[list(runs)[1]][0]:.1f} s")
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for _ in range(pairs):
            for name, run in runs.items():
                taken[name].append(run(folder))
    medians = {name: [statistics.median(some) for some in zip(*found, strict=True)] for name, found in taken.items()}
    for name, (wall, cpu) in medians.items():
        print(f"{name:31} {wall:6.2f} s, processor {cpu:6.2f} s  ({', '.join(f'{w:.2f}' for w, _ in taken[name])} s)")
    (stock_wall, stock_cpu), (our_wall, our_cpu), _ = medians.values()
    print(f"ratio {stock_wall / our_wall:.2f}, of processor time {stock_cpu / our_cpu:.2f}")


if __name__ == "__main__":
    main()
