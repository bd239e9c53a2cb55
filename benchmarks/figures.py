"""The figures that are promised or compared: where each stands in its result. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Figure:
    """One figure of a benchmark: `path` are the keys to it, `goal` what it is to reach."""

    benchmark: str
    path: tuple[str, ...]
    text: str
    unit: str = "x"
    goal: float | None = None
    better: Better = "lower"

    @property
    def name(self) -> str:
        return " ".join((self.benchmark, *self.path))

    def of(self, results: Mapping[str, Any]) -> float | None:
        """Look it up in the results by name of the benchmark; None when it was not measured."""
        value: Any = results.get(self.benchmark)
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return None if value is None else float(value)

    def reached(self, value: float) -> bool | None:
        """Say whether a value is as good as promised; None where nothing is."""
        if self.goal is None:
            return None
        return value <= self.goal if self.better == "lower" else value >= self.goal


def _gap(fault: str, kind: str, quantile: str, text: str, goal: float | None = None) -> Figure:
    return Figure("failover", (fault, "outage_seconds", kind, quantile), text, "s", goal)


FIGURES = (
    Figure("snapshot", ("file", "transfer_ratio"), "snapshot to a folder", goal=1.05),
    Figure("snapshot", ("s3", "transfer_ratio"), "snapshot to S3", goal=1.05),
    Figure("snapshot", ("file", "piped_ratio"), "the same against redis-cli --rdb - | zstd | age"),
    Figure("snapshot", ("file", "bgsave_ratio"), "the same against BGSAVE, zstd, age"),
    Figure("growth", ("s3", "time_factors", "4"), "time of a snapshot at 4 x the data"),
    Figure("growth", ("s3", "time_factors", "16"), "time of a snapshot at 16 x the data"),
    Figure("growth", ("s3", "memory_factor"), "memory of it", goal=1.1),
    Figure("restore", ("live_load_ratio",), "load of a live restore", goal=1.2),
    Figure("restore", ("file_and_load_ratio",), "file out of the store, then loaded"),
    _gap("switchover", "redis-ha", "p50", "switchover, our client, median"),
    _gap("switchover", "redis-ha", "worst", "switchover, our client, worst", 0.2),
    _gap("switchover", "redis-py", "worst", "switchover, stock redis-py Sentinel, worst", 1.5),
    _gap("crash_with_witness", "redis-ha", "p95", "crash, witness, our client, p95", 0.4),
    _gap("crash_with_witness", "redis-py", "p95", "crash, witness, stock redis-py, p95", 1.6),
    _gap("crash_without_witness", "redis-ha", "worst", "crash, no witness, our client", 2.5),
    _gap("crash_without_witness", "redis-py", "worst", "crash, no witness, stock redis-py", 3.3),
    Figure("client", ("threads", "ratio"), "a call through our client", goal=1.05),
    Figure("client", ("asyncio", "ratio"), "the same with asyncio", goal=1.05),
    Figure("stack", ("up_ratio",), "first `up`, until all is healthy"),
    Figure("stack", ("no_change_ratio",), "`up` without a change"),
    Figure("stack", ("pulumi_seconds", "preview"), "preview of it all", "s"),
    Figure("stack", ("pulumi_seconds", "up"), "first `up`", "s"),
    Figure("stack", ("pulumi_seconds", "no_change_up"), "`up` without a change", "s"),
    Figure("follow", ("cpu_share",), "share of a core to follow 2.7 MB/s", "", 0.03),
    *(
        Figure(
            "protections",
            (rung, test, "of_plain"),
            f"{test.upper()}: {rung}",
            better="higher",
        )
        for rung in ("append-only file", "two replicas", "ACL user", "TLS", "whole cluster")
        for test in ("set", "get")
    ),
)
# What was compared with what, for the heads of the tables.
PEERS = {
    "snapshot": "`redis-cli --rdb /dev/null`, wall time of the transfer, in pairs",
    "growth": "the same command over a sixteenth of the data",
    "restore": "stock `redis-server` over the same RDB, until it answers",
    "failover": "each kind of client in the same run, down-after 2 s; lost writes are in the JSON",
    "stack": "docker-compose with the files of `redis-ha compose`: the same nodes, image, settings",
    "client": "redis-py on the same master, time of a call",
    "follow": "an idle core",
    "protections": "requests a second of plain Redis in the same round, by redis-benchmark",
}


def measured(results: Mapping[str, Any]) -> Iterator[tuple[Figure, float]]:
    """Give the figures that the results have, with their values."""
    for figure in FIGURES:
        value = figure.of(results)
        if value is not None:
            yield figure, value


@dataclass(frozen=True)
class Change:
    """A figure in two results; `factor` above 1 is worse than before."""

    figure: Figure
    before: float
    after: float

    @property
    def factor(self) -> float:
        if not self.before or not self.after:
            return 1.0
        worse = self.after / self.before
        return worse if self.figure.better == "lower" else 1 / worse


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Compare what both have, the worst first."""
    known = dict(measured(before))
    found = [
        Change(figure, known[figure], value) for figure, value in measured(after) if figure in known
    ]
    return sorted(found, key=lambda change: -change.factor)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say why the two may not be compared; "" when they may: the same machine and Redis."""
    for name in sorted(set(before) & set(after)):
        one, other = (each[name]["measured_on"] for each in (before, after))
        for key in ("cpus", "redis"):
            if one.get(key) != other.get(key):
                return f"{name}: {key} was {one.get(key)} and is {other.get(key)}"
    return ""
