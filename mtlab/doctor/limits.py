"""A container's limits on memory and CPU time. Linux sets them with control groups, which the usual
functions ignore.
"""

from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
"""Where the kernel shows control groups: one tree in version 2, a tree for each controller in
version 1."""

OWN = Path("/proc/self/cgroup")
"""The file with the groups of this process. If the container has no namespace for them, they have
the names that the host uses."""


def memory_left() -> int | None:
    """Bytes of memory that the limits of the groups leave; None if there is no limit. The inactive
    cache of files counts as free.
    """
    bytes_left = []
    for folder in _folders("memory"):
        for limit, used, cache in (("memory.max", "memory.current", "inactive_file"), _V1):
            most, now = _number(folder / limit), _number(folder / used)
            if (
                most is not None and now is not None and most < 1 << 60
            ):  # version 1 gives a huge number if there is no limit
                bytes_left.append(most - now + _cached(folder / "memory.stat", cache))
    return max(0, min(bytes_left)) if bytes_left else None


_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def cpu_quota() -> float | None:
    """The number of CPU cores that the groups allow, such as 1.5; None if there is no limit."""
    quotas = []
    for folder in _folders("cpu"):
        words = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"),
            *_words(folder / "cpu.cfs_period_us"),
        ]
        if (
            len(words) == 2 and words[0].isdecimal() and words[1].isdecimal()
        ):  # neither `max` nor -1
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas) if quotas else None


def _folders(controller: str) -> Iterator[Path]:
    """The folders of the process's own group and of all groups that contain it."""
    try:
        lines = OWN.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        folder = GROUPS / (controller if controllers else "") / path.lstrip("/")
        yield from (path for path in (folder, *folder.parents) if path.is_relative_to(GROUPS))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").split()
    except OSError:
        return []


def _number(file: Path) -> int | None:
    words = _words(file)
    return int(words[0]) if words and words[0].isdecimal() else None


def _cached(file: Path, name: str) -> int:
    words = _words(file)
    return int(words[words.index(name) + 1]) if name in words else 0
