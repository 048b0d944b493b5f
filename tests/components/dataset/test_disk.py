"""Claims about a split on disk: its rows are those that are in memory, and it needs no more memory than it is given."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.dataset import DiskSplit, Rows, Split
from components.dataset.disk import is_written, write_split
from components.trainer.order import Order, batches
from lineage.outcome import InputError
from tests.components.dataset.columns import assert_same, blocks, every_kind, on_disk

MIB = 2**20


@pytest.mark.parametrize(
    ("rows", "block_rows", "memory"),
    [(1, 1, 1), (57, 10, 1), (300, 13, 20_000), (64, 64, MIB), (65, 64, MIB)],
    ids=["one row", "more blocks than memory", "windows", "one block", "a block of one row"],
)
def test_rows_on_disk_are_those_in_memory_in_any_order(tmp_path: Path, rows: int, block_rows: int, memory: int) -> None:
    split = every_kind(rows)
    disk = on_disk(split, tmp_path / "train", block_rows=block_rows, memory=memory)
    assert len(disk) == rows
    random = np.random.default_rng(1)
    for size in (1, 5, 40):
        numbers = tf.constant(random.integers(0, rows, size))
        assert_same(disk.take(numbers), split.take(numbers))
        assert_same(tf.function(disk.take)(numbers), split.take(numbers))


def test_parts_are_all_rows_in_their_order(tmp_path: Path) -> None:
    split = every_kind(57)
    disk = on_disk(split, tmp_path / "train", block_rows=10, memory=1)
    parts = [*disk.parts()]
    assert [len(part.labels) for part in parts] == [10, 10, 10, 10, 10, 7]
    for number, part in enumerate(parts):
        assert_same(part, split.take(tf.range(10 * number, min(10 * number + 10, 57))))


def test_rows_without_weights_have_none_on_disk_either(tmp_path: Path) -> None:
    split = Split("train", {"x": tf.ones([5, 2])}, tf.range(5))
    disk = on_disk(split, tmp_path / "train", block_rows=2, memory=1)
    assert_same(disk.take(tf.constant([4, 0])), split.take(tf.constant([4, 0])))
    assert disk.take(tf.constant([4, 0])).weights == ()


def test_blocks_are_read_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    split = every_kind(57)
    disk = on_disk(split, tmp_path / "train", block_rows=10, memory=1)
    rows = Split("train", *tf.function(disk.read)(tf.constant([5, 0, 3], tf.int64)))
    assert_same(rows.take(tf.range(27)), split.take(tf.constant([*range(50, 57), *range(10), *range(30, 40)])))


def test_numbers_that_are_not_finite_are_counted_over_all_blocks(tmp_path: Path) -> None:
    column = tf.constant([[1.0], [float("nan")], [2.0], [3.0], [float("inf")]])
    disk = on_disk(Split("train", {"fare": column}, tf.range(5)), tmp_path / "train", block_rows=2, memory=1)
    with pytest.raises(InputError, match=r"fare has 2 values that are NaN or infinite in the split 'train'"):
        disk.check_finite()


def test_split_that_was_not_written_to_its_end_is_not_there(tmp_path: Path) -> None:
    split, folder = every_kind(57), tmp_path / "train"

    def broken() -> Iterator[Rows]:
        yield from [*blocks(split, 10)][:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_split(folder, broken())
    assert not is_written(folder)
    on_disk(split, folder, block_rows=10, memory=1)
    assert is_written(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_split_of_which_a_block_has_lost_its_end_is_not_there(tmp_path: Path) -> None:
    split, folder = every_kind(57), tmp_path / "train"
    on_disk(split, folder, block_rows=10, memory=1)
    assert is_written(folder)
    block = folder / "3"
    block.write_bytes(block.read_bytes()[:-1])
    assert not is_written(folder)
    block.unlink()
    assert not is_written(folder)
    assert_same(on_disk(split, folder, block_rows=10, memory=1).take(tf.range(57)), split.take(tf.range(57)))


def test_iterator_can_be_dropped_while_it_reads(tmp_path: Path) -> None:
    disk = on_disk(every_kind(600), tmp_path / "train", block_rows=10, memory=1)
    order = Order(len(disk), 8, 1, 0, disk.blocks)
    for _ in range(20):
        assert len(next(batches(disk, order, tf.distribute.get_strategy())).rows.labels) == 8


def _resident(line: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most since `_forget_peak`."""
    [found] = [row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(line)]
    return int(found.split()[1]) * 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def test_memory_stays_within_its_bound_however_large_the_split(tmp_path: Path) -> None:
    """256 MiB through 24, two epochs in a random order and one look at all. The margin is of TensorFlow."""
    rows = tf.zeros([256, 4096], tf.uint8)

    def blocks() -> Iterator[Rows]:
        for _ in range(256):
            yield Rows({"image": rows}, tf.zeros([256], tf.int64))

    write_split(tmp_path / "train", blocks())
    disk = DiskSplit("train", tmp_path / "train", 24 * MIB)
    assert disk.bytes > 256 * MIB and disk.blocks == (256, 7)
    order = Order(len(disk), 128, 1, 0, disk.blocks)
    _forget_peak()
    before = _resident("VmRSS")
    data = batches(disk, order, tf.distribute.get_strategy())
    for _ in range(2 * order.steps_per_epoch):
        next(data)
    assert _resident("VmHWM") - before < (24 + 32) * MIB
    for part in disk.parts():
        assert len(part.labels) == 256
    assert _resident("VmHWM") - before < (24 + 32) * MIB
