"""How much memory a new process may take here: what the machine and the container have left."""

from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
# Limit, usage and the statistics' field of reclaimable pages, in version 2 and 1.
_FILES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


def available(*, meminfo: Path = Path("/proc/meminfo"), cgroups: Path = _CGROUPS) -> int:
    """Return how many bytes can be taken: the least of what the machine and the cgroup leave."""
    machine = int(_fields(meminfo.read_text())["MemAvailable:"]) * 1024
    return min([machine, *_left_in_cgroup(cgroups)])


def _left_in_cgroup(cgroups: Path) -> list[int]:
    """Return limit - usage + page cache that gives way, for each version that is mounted."""
    left = []
    for limit, usage, statistics, reclaimable in _FILES:
        # No such version, or "max": no limit.
        with suppress(OSError, ValueError):
            bound, used = (int((cgroups / name).read_text()) for name in (limit, usage))
            cache = int(_fields((cgroups / statistics).read_text())[reclaimable])
            left.append(max(0, bound - used + cache))
    return left


def _fields(text: str) -> dict[str, str]:
    lines = (line.split() for line in text.splitlines())
    return {words[0]: words[1] for words in lines if len(words) > 1}
