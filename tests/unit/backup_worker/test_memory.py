"""How much memory may be taken: the least of what machine, container and unit leave."""

from pathlib import Path

import pytest

from backup_worker import memory

GIB = 1 << 30


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text("MemTotal:       16777216 kB\nMemFree:  1024 kB\nMemAvailable:    8388608 kB\n")
    return path


def group(directory: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = directory / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    return directory / "cgroup"


def test_without_a_limit_it_is_the_machines(meminfo: Path, tmp_path: Path) -> None:
    alone = tmp_path / "membership"
    alone.write_text("0::/\n")
    assert free(meminfo, tmp_path / "none", alone) == 8 * GIB
    unlimited = group(tmp_path, v2("max"))
    assert free(meminfo, unlimited, alone) == 8 * GIB
    assert free(meminfo, unlimited, tmp_path / "none") == 8 * GIB


def free(meminfo: Path, cgroups: Path, membership: Path) -> int:
    return memory.available(meminfo=meminfo, cgroups=cgroups, membership=membership)


def v2(
    limit: object, folder: str = "", *, used: int = GIB, cache: int = GIB // 2
) -> dict[str, str]:
    return {
        f"{folder}memory.max": str(limit),
        f"{folder}memory.current": str(used),
        f"{folder}memory.stat": f"anon 1\ninactive_file {cache}",
    }


def v1(
    limit: object, folder: str = "", *, used: int = GIB, cache: int = GIB // 2
) -> dict[str, str]:
    return {
        f"memory/{folder}memory.limit_in_bytes": str(limit),
        f"memory/{folder}memory.usage_in_bytes": str(used),
        f"memory/{folder}memory.stat": f"inactive_file 7\ntotal_inactive_file {cache}",
    }


UNIT = "system.slice/redis-ha-worker.service/"
NO_LIMIT = 0x7FFFFFFFFFFFF000


@pytest.mark.parametrize(
    ("files", "membership"),
    [
        # A container with groups of its own, of either version.
        (v2(2 * GIB), "0::/"),
        (v1(2 * GIB), "3:cpu,cpuacct:/\n2:memory:/"),
        # A container that knows the host's names, and sees its own group at the root.
        (v1(2 * GIB), "4:memory:/docker/1234\n1:name=systemd:/docker/1234"),
        (v2(2 * GIB), "0::/../1234"),
        # A unit on a machine: its root has no limit, and with version 2 not even the file.
        (v2(2 * GIB, UNIT), "0::/system.slice/redis-ha-worker.service"),
        (
            v2("max", UNIT) | v2(2 * GIB, "system.slice/"),
            "0::/system.slice/redis-ha-worker.service",
        ),
        (
            v1(NO_LIMIT) | v1(2 * GIB, UNIT) | v1(NO_LIMIT, "system.slice/"),
            "9:pids:/\n4:memory:/system.slice/redis-ha-worker.service\n0::/",
        ),
        # The least of them, whichever it is.
        (
            v2(3 * GIB, UNIT, used=GIB) | v2(4 * GIB, "system.slice/", used=3 * GIB),
            "0::/system.slice/redis-ha-worker.service",
        ),
    ],
)
def test_a_limit_counts_without_the_page_cache(
    meminfo: Path, tmp_path: Path, files: dict[str, str], membership: str
) -> None:
    own = tmp_path / "membership"
    own.write_text(membership + "\n")
    assert free(meminfo, group(tmp_path, files), own) == GIB + GIB // 2


def test_this_machine_has_some() -> None:
    assert memory.available() > 0
