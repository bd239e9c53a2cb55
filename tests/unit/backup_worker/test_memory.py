"""How much memory may be taken: the least of what machine and container leave."""

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
    assert memory.available(meminfo=meminfo, cgroups=tmp_path / "none") == 8 * GIB
    free = group(tmp_path, {"memory.max": "max", "memory.current": "5", "memory.stat": "anon 5"})
    assert memory.available(meminfo=meminfo, cgroups=free) == 8 * GIB


@pytest.mark.parametrize(
    "files",
    [
        {
            "memory.max": str(2 * GIB),
            "memory.current": str(GIB),
            "memory.stat": f"anon 1\ninactive_file {GIB // 2}",
        },
        {
            "memory/memory.limit_in_bytes": str(2 * GIB),
            "memory/memory.usage_in_bytes": str(GIB),
            "memory/memory.stat": f"inactive_file 7\ntotal_inactive_file {GIB // 2}",
        },
    ],
)
def test_a_limit_counts_without_the_page_cache(
    meminfo: Path, tmp_path: Path, files: dict[str, str]
) -> None:
    assert memory.available(meminfo=meminfo, cgroups=group(tmp_path, files)) == GIB + GIB // 2


def test_this_machine_has_some() -> None:
    assert memory.available() > 0
