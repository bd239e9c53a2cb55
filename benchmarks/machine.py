"""What a benchmark runs on, and the wait until nothing else runs there."""

import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# The load average of a minute falls by two thirds in a minute.
PATIENCE, _STEP = 300.0, 5.0


def describe(load: float, settings: Mapping[str, int]) -> dict[str, Any]:
    """Say what it was measured on and with, after a `load` (of one minute) before it began."""
    redis = subprocess.run(
        ["redis-server", "--version"], capture_output=True, text=True, check=True
    )
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cpus": os.cpu_count(),
        "memory_gib": memory_gib(Path("/proc/meminfo").read_text()),
        "kernel": platform.release(),
        "load_before": round(load, 2),
        "python": platform.python_version(),
        "redis": redis.stdout.split("v=")[1].split()[0],
        "settings": dict(settings),
    }


def cpu_model(cpuinfo: str) -> str:
    """Read the model out of /proc/cpuinfo; the architecture where it has none, as on ARM."""
    for line in cpuinfo.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory_gib(meminfo: str) -> float:
    """Read the size of the memory out of /proc/meminfo: GiB, to a tenth."""
    (total,) = (line for line in meminfo.splitlines() if line.startswith("MemTotal:"))
    return round(int(total.split()[1]) / (1 << 20), 1)


def under_load(machine: Mapping[str, Any]) -> bool:
    """Say whether so much else ran before it that its times tell little."""
    return bool(machine["load_before"] > (machine["cpus"] or 1) / 2)


def rested(
    load: Callable[[], float] = lambda: os.getloadavg()[0],
    *,
    limit: float = (os.cpu_count() or 1) / 2,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Wait, for PATIENCE (s) at most, until the load is below `limit`; return the load then.

    The benchmark before it makes a load, too.
    """
    waited = 0.0
    while (now := load()) > limit and waited < PATIENCE:
        sleep(_STEP)
        waited += _STEP
    return now
