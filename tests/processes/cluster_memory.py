"""A memory limit for one process, so that the kernel really kills it: cgroups, version 1 or 2."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

_MOUNT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryGroup:
    """One control group; `new` says that it is of version 2."""

    directory: Path
    new: bool

    @classmethod
    @contextmanager
    def made(cls, root: Path) -> Iterator["MemoryGroup"]:
        """Make a group below one that `memory_groups` found; it goes when it is empty."""
        directory = root / f"redis-ha-test-{secrets.token_hex(4)}"
        directory.mkdir()
        try:
            yield cls(directory, new=root == _MOUNT)
        finally:
            with suppress(OSError):
                directory.rmdir()

    def take_in(self, pid: int) -> None:
        """Move a process; what it has allocated so far stays with its old group."""
        (self.directory / "cgroup.procs").write_text(str(pid))

    @property
    def used(self) -> int:
        name = "memory.current" if self.new else "memory.usage_in_bytes"
        return int((self.directory / name).read_text())

    @property
    def kills(self) -> int:
        """How many processes the kernel has killed here."""
        name = "memory.events" if self.new else "memory.oom_control"
        rows = (row.split() for row in (self.directory / name).read_text().splitlines())
        return int(dict(rows)["oom_kill"])

    def limit(self, size: int) -> None:
        """Allow so many bytes, and no swap."""
        names = ["memory.max"] if self.new else ["memory.limit_in_bytes"]
        (self.directory / names[0]).write_text(str(size))
        swap, value = ("memory.swap.max", 0) if self.new else ("memory.memsw.limit_in_bytes", size)
        with suppress(OSError):
            (self.directory / swap).write_text(str(value))


def memory_groups() -> Path | None:
    """Find where groups with a memory limit may be made; None where this user can't."""
    for root in (_MOUNT / "memory", _MOUNT):
        controllers = root / "cgroup.subtree_control"
        limits = root.name == "memory" or (
            controllers.is_file() and "memory" in controllers.read_text().split()
        )
        if limits and os.access(root, os.W_OK):
            return root
    return None


def exhaust(client: Any, size: int) -> None:
    """Make a server allocate so many bytes, in one value that no replica gets."""
    with suppress(redis.ConnectionError):
        client.execute_command("DEBUG", "POPULATE", "1", "exhausted", str(size))
