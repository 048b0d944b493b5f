"""Writes four words and the next one, of the sources of Python's standard library, as data/next_word.parquet.

A word is a name or a word of prose, as it is in the source. `data/vocabulary.txt` has the words by their numbers.
"""

import collections
import re
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

ROWS = 60_000
VOCABULARY = 32_768
CONTEXT = 4
TESTS = {"test", "tests", "idle_test", "site-packages"}  # not in every installation, or not of Python


def main() -> None:
    """Draws rows whose five words are all among the most frequent ones: `context`, 4 numbers, and `next`, a number."""
    files = sources()
    counts = collections.Counter(word for words in files for word in words)
    vocabulary = [word for word, _ in counts.most_common(VOCABULARY)]
    numbers = {word: number for number, word in enumerate(vocabulary)}
    windows = np.concatenate([windows_of([numbers.get(word, -1) for word in words]) for words in files])
    windows = windows[(windows >= 0).all(axis=1)]
    drawn = windows[np.random.default_rng(0).choice(len(windows), ROWS, replace=False)]
    folder = Path(__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    (folder / "vocabulary.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    partial = folder / "next_word.partial"
    parquet.write_table(pa.table({"context": [*drawn[:, :CONTEXT]], "next": drawn[:, CONTEXT]}), partial)
    partial.rename(folder / "next_word.parquet")


def sources() -> list[list[str]]:
    """The words of each source file that has enough of them."""
    library = Path(sysconfig.get_paths()["stdlib"])
    files = [file for file in sorted(library.rglob("*.py")) if not TESTS & set(file.parts)]
    words = [re.findall(r"[^\W\d]\w*", file.read_text(encoding="utf-8", errors="ignore")) for file in files]
    return [found for found in words if len(found) > CONTEXT]


def windows_of(numbers: list[int]) -> np.ndarray:
    """Each word with the four before it, [words - 4, 5]."""
    return np.lib.stride_tricks.sliding_window_view(np.array(numbers), CONTEXT + 1)


if __name__ == "__main__":
    main()
