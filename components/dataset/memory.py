"""How much memory there is for more: on the host, and within the limits of the control groups of this process."""

from collections.abc import Iterator
from pathlib import Path

_CONTROLLERS = {
    "": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}  # of version 2 and 1 of control groups


def available_memory(root: Path = Path("/")) -> int:
    """Bytes that can be allocated without swapping, or being killed; files that the kernel caches do not count."""
    return min([_of_host(root), *_of_groups(root)])


def _of_host(root: Path) -> int:
    lines = (root / "proc/meminfo").read_text().splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kib) * 1024


def _of_groups(root: Path) -> Iterator[int]:
    for line in (root / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in {*controllers.split(",")} & _CONTROLLERS.keys():
            folder, limit, usage, cached = _CONTROLLERS[controller]
            group = root / folder / path.lstrip("/")
            # A limit may be on any group above; in a container the path may be that of the host, and not be there.
            for each in [group, *group.parents][: len(Path(path).parts)]:
                if (each / limit).exists() and (each / limit).read_text().strip() != "max":
                    yield _number(each / limit) - _number(each / usage) + _entry(each / "memory.stat", cached)


def _number(path: Path) -> int:
    return int(path.read_text())


def _entry(path: Path, name: str) -> int:
    return next((int(value) for key, value in map(str.split, path.read_text().splitlines()) if key == name), 0)
