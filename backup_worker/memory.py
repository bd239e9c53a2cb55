"""How much memory a new process may take here: what the machine and every cgroup around it leave.

A limit can be on any of the process's groups: on its own, as a unit's MemoryMax, or on one above.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_MEMINFO = Path("/proc/meminfo")
_CGROUPS = Path("/sys/fs/cgroup")
# Which group the process is in, a line for each hierarchy: `number:controllers:path`.
_MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class _Version:
    """Where a version's groups are mounted, and its files of limit, usage and statistics.

    `reclaimable` is the statistics' field of pages that give way.
    """

    mount: str
    limit: str
    usage: str
    reclaimable: str


_V2 = _Version("", "memory.max", "memory.current", "inactive_file")
_V1 = _Version("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def available(
    *, meminfo: Path = _MEMINFO, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP
) -> int:
    """Return how many bytes can be taken: the least of what the machine and the cgroups leave."""
    machine = int(_fields(meminfo.read_text())["MemAvailable:"]) * 1024
    return min([machine, *_left_in_cgroups(cgroups, membership)])


def _left_in_cgroups(cgroups: Path, membership: Path) -> Iterator[int]:
    """Give limit - usage + page cache that gives way, for each group that has a limit."""
    for version, path in _groups(membership):
        for group in (path, *path.parents):
            folder = cgroups / version.mount / group
            # No such group here, or "max": no limit.
            with suppress(OSError, ValueError):
                bound = int((folder / version.limit).read_text())
                used = int((folder / version.usage).read_text())
                cache = int(_fields((folder / "memory.stat").read_text())[version.reclaimable])
                yield max(0, bound - used + cache)


def _groups(membership: Path) -> Iterator[tuple[_Version, PurePosixPath]]:
    """Give the process's groups that can have a limit, as paths below their mount.

    A container sees its own group as the mount's root, whatever the path says: /docker/ID with the
    host's names of groups, / with its own. So the root counts even where there is no path.
    """
    paths = {_V2: PurePosixPath(), _V1: PurePosixPath()}
    with suppress(OSError):
        for line in membership.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            relative = PurePosixPath(path.lstrip("/"))
            if number == "0" and not controllers:
                paths[_V2] = relative
            elif "memory" in controllers.split(","):
                paths[_V1] = relative
    yield from paths.items()


def _fields(text: str) -> dict[str, str]:
    lines = (line.split() for line in text.splitlines())
    return {words[0]: words[1] for words in lines if len(words) > 1}
