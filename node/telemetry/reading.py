"""One look at the machine: health files, memory, the data volume, the worker's own metrics."""

import shutil
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from node.telemetry.metrics import Reading, Share, parse_memory, parse_prometheus

# As node/health.sh: a supervisor that is silent for so long (s) isn't well.
FRESH_SECONDS = 10
TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Sources:
    """Where to look: the supervisors' health files, the data volume, the worker's settings."""

    health: Sequence[Path] = (
        Path("/run/redis-ha/data/health"),
        Path("/run/redis-ha/sentinel/health"),
    )
    data: Path = Path("/data")
    worker: Path = Path("/etc/redis-ha/worker")
    memory: Path = Path("/proc/meminfo")


def read(sources: Sources) -> Reading:
    """Look; what can't be read is None, and a health file that can't be is not healthy."""
    return Reading(
        healthy=all(map(_is_healthy, sources.health)),
        memory=_memory(sources.memory),
        disk=_disk(sources.data),
        worker=_worker(sources.worker),
    )


def _is_healthy(path: Path) -> bool:
    try:
        fresh = time.time() - path.stat().st_mtime <= FRESH_SECONDS
        return fresh and path.read_text().startswith("ok ")
    except OSError:
        return False


def _memory(path: Path) -> Share | None:
    try:
        return parse_memory(path.read_text())
    except (OSError, KeyError, ValueError):
        return None


def _disk(path: Path) -> Share | None:
    """Measure the volume; a folder of the root disk would say nothing of it."""
    try:
        usage = shutil.disk_usage(path) if path.is_mount() else None
    except OSError:
        return None
    return Share(usage.used, usage.total) if usage else None


def _worker(folder: Path) -> dict[str, float] | None:
    try:
        settings = dict(
            line.partition("=")[::2] for line in (folder / "worker.env").read_text().splitlines()
        )
        host = settings["REDIS_BACKUP_METRICS_HOST"]
        port = int(settings["REDIS_BACKUP_METRICS_PORT"])
        context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt"))
        url = f"https://{host}:{port}/metrics"
        with urlopen(url, timeout=TIMEOUT_SECONDS, context=context) as answer:
            return parse_prometheus(answer.read().decode())
    except (OSError, KeyError, ValueError):
        return None
