"""Claims about how much memory there is, on folders laid out as Linux lays out /proc and /sys."""

from pathlib import Path

from components.dataset import available_memory

GIB = 2**30


def host(root: Path, available: int, groups: str) -> Path:
    (root / "proc" / "self").mkdir(parents=True)
    kib = available // 1024
    (root / "proc" / "meminfo").write_text(f"MemTotal: {2 * kib} kB\nMemFree: 1 kB\nMemAvailable: {kib} kB\n")
    (root / "proc" / "self" / "cgroup").write_text(groups)
    return root


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_without_limits_it_is_what_the_host_has(tmp_path: Path) -> None:
    root = host(tmp_path, 3 * GIB, "0::/user.slice\n")
    group(root / "sys/fs/cgroup/user.slice", memory__max="max", memory__current=GIB)
    assert available_memory(root) == 3 * GIB
    assert 0 < available_memory() < 2**50


def test_the_limit_of_a_group_counts_less_its_usage_but_for_cached_files(tmp_path: Path) -> None:
    root = host(tmp_path, 30 * GIB, "0::/system.slice/job\n")
    group(
        root / "sys/fs/cgroup/system.slice/job",
        memory__max=4 * GIB,
        memory__current=3 * GIB,
        memory__stat=f"anon {GIB}\ninactive_file {2 * GIB}",
    )
    assert available_memory(root) == 3 * GIB


def test_a_limit_of_the_group_above_counts_too(tmp_path: Path) -> None:
    root = host(tmp_path, 30 * GIB, "0::/system.slice/job\n")
    group(root / "sys/fs/cgroup/system.slice/job", memory__max="max", memory__current=GIB)
    group(root / "sys/fs/cgroup/system.slice", memory__max=2 * GIB, memory__current=GIB, memory__stat="anon 1")
    assert available_memory(root) == GIB


def test_a_container_of_version_1_finds_its_group_where_it_is_mounted(tmp_path: Path) -> None:
    root = host(tmp_path, 30 * GIB, "5:cpu,cpuacct:/docker/4f\n4:memory:/docker/4f\n0::/docker/4f\n")
    group(
        root / "sys/fs/cgroup/memory",
        memory__limit_in_bytes=5 * GIB,
        memory__usage_in_bytes=4 * GIB,
        memory__stat=f"total_inactive_file {GIB}",
    )
    assert available_memory(root) == 2 * GIB
