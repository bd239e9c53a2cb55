"""From what was read on the machine to what CloudWatch is told; pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

WORKING = "redis_backup_working"
SNAPSHOT_AGE = "redis_backup_last_snapshot_age_seconds"
AGE_LIMIT = "redis_backup_snapshot_age_limit_seconds"
TROUBLES = "redis_backup_troubles"


@dataclass(frozen=True)
class Share:
    """How much of something there is, and how much of it is used; any one unit."""

    used: int
    total: int

    @property
    def percent(self) -> float:
        return 100 * self.used / self.total if self.total else 100.0


@dataclass(frozen=True)
class Reading:
    """One look at a machine; None: could not be read. `worker`: its Prometheus values by name."""

    healthy: bool
    memory: Share | None
    disk: Share | None
    worker: Mapping[str, float] | None


@dataclass(frozen=True)
class Sample:
    """One value of a metric, of this node or (`whole` true) of the cluster."""

    name: str
    value: float
    unit: str = "None"
    whole: bool = False


def samples(reading: Reading) -> list[Sample]:
    """Say what to send; what is unknown is left out, and its alarm notices."""
    return list(_samples(reading))


def parse_prometheus(text: str) -> dict[str, float]:
    """Read the values without labels of Prometheus's text format."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if line and not line.startswith("#") and "{" not in name:
            values[name] = float(value.split()[0])
    return values


def parse_memory(meminfo: str) -> Share:
    """Read /proc/meminfo; what the kernel could give back at once counts as free.

    Errors: KeyError.
    """
    rows = (line.split() for line in meminfo.splitlines())
    values = {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1}
    total = values["MemTotal"]
    return Share(total - values["MemAvailable"], total)


def _samples(reading: Reading) -> Iterator[Sample]:
    yield Sample("Healthy", float(reading.healthy))
    if reading.memory:
        yield Sample("MemoryUsedPercent", reading.memory.percent, "Percent")
    if reading.disk:
        yield Sample("DataVolumeUsedPercent", reading.disk.percent, "Percent")
    # Of the workers one works; what the others know of the backup is older.
    if reading.worker and reading.worker.get(WORKING) == 1:
        age, limit = reading.worker.get(SNAPSHOT_AGE), reading.worker.get(AGE_LIMIT)
        if age is not None and limit:
            # Of what the worker allows: 100 is overdue.
            yield Sample("SnapshotAgePercent", 100 * age / limit, "Percent", whole=True)
        yield Sample("BackupTroubles", reading.worker.get(TROUBLES, 0), "Count", whole=True)
