"""The figures that are promised or compared: where each stands in its result. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Figure:
    """One figure of a benchmark: `path` are the keys to it, `goal` what it is to reach.

    A `peer` is what somebody else's software did in the same run: shown beside ours, and never
    held against a later run.
    """

    benchmark: str
    path: tuple[str, ...]
    text: str
    unit: str = "x"
    goal: float | None = None
    better: Better = "lower"
    peer: bool = False

    @property
    def name(self) -> str:
        return " ".join((self.benchmark, *self.path))

    def of(self, results: Mapping[str, Any]) -> float | None:
        """Look it up in the results by name of the benchmark; None when it was not measured."""
        value: Any = results.get(self.benchmark)
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return float(value) if isinstance(value, int | float) else None

    def reached(self, value: float) -> bool | None:
        """Say whether a value is as good as promised; None where nothing is."""
        if self.goal is None:
            return None
        return value <= self.goal if self.better == "lower" else value >= self.goal


def _gap(
    fault: str, kind: str, quantile: str, *, goal: float | None = None, peer: bool = False
) -> Figure:
    text = f"{_FAULTS[fault]}, {_CLIENTS[kind]}, {quantile}"
    path = (fault, "outage_seconds", kind, quantile)
    return Figure("failover", path, text, "s", goal, peer=peer)


def _lost(fault: str, *, goal: float | None = None, peer: bool = False) -> Figure:
    text = f"{_FAULTS[fault]}: acknowledged writes lost"
    return Figure("failover", (fault, "lost"), text, "", goal, peer=peer)


def _protection(rung: str, test: str) -> Figure:
    path, text = (rung, test, "of_plain"), f"{test.upper()}: {rung}"
    return Figure("protections", path, text, better="higher")


def _slowest(rung: str, test: str, *, peer: bool = False) -> Figure:
    text = f"{test.upper()}, p99: {rung}"
    return Figure("protections", (rung, test, "p99_ms"), text, "ms", peer=peer)


_FAULTS = {
    "switchover": "switchover",
    "plain_sentinel_failover": "plain SENTINEL FAILOVER",
    "crash_with_witness": "crash, witness",
    "crash_without_witness": "crash, no witness",
}
_CLIENTS = {
    "redis-ha": "our client",
    "redis-py": "redis-py, retries off",
    "redis-py-retries": "redis-py's retries",
}
_TESTS = ("set", "get")
FIGURES = (
    Figure("snapshot", ("file", "transfer_ratio"), "snapshot to a folder, transfer", goal=1.05),
    Figure("snapshot", ("s3", "transfer_ratio"), "snapshot to S3, transfer", goal=1.05),
    Figure("snapshot", ("file", "command_ratio"), "to a folder, whole command"),
    Figure("snapshot", ("s3", "command_ratio"), "to S3, whole command"),
    Figure(
        "snapshot",
        ("file", "piped_ratio"),
        "to a folder, whole command, against redis-cli --rdb - | zstd | age",
    ),
    Figure(
        "snapshot",
        ("file", "bgsave_ratio"),
        "to a folder, whole command, against BGSAVE, zstd, age",
    ),
    Figure("growth", ("s3", "time_factors", "4"), "to S3: time of a snapshot at 4 x the data"),
    Figure("growth", ("s3", "time_factors", "16"), "to S3: time of a snapshot at 16 x the data"),
    Figure("growth", ("s3", "memory_factor"), "to S3: memory at 16 x the data", goal=1.1),
    Figure("growth", ("file", "memory_factor"), "to a folder: memory at 16 x the data", goal=1.1),
    Figure("restore", ("live_load_ratio",), "load of a live restore", goal=1.2),
    Figure("restore", ("live_ratio",), "whole live restore: safety snapshot, load, copies, switch"),
    Figure("restore", ("file_and_load_ratio",), "file out of the store, then loaded"),
    _gap("switchover", "redis-ha", "p50"),
    _gap("switchover", "redis-ha", "worst", goal=0.2),
    _gap("switchover", "redis-py", "worst", goal=1.5),
    _gap("switchover", "redis-py-retries", "worst", peer=True),
    _lost("switchover", goal=0.0),
    _gap("plain_sentinel_failover", "redis-ha", "worst", peer=True),
    _lost("plain_sentinel_failover", peer=True),
    _gap("crash_with_witness", "redis-ha", "p95", goal=0.4),
    _gap("crash_with_witness", "redis-py", "p95", goal=1.6),
    _gap("crash_with_witness", "redis-py-retries", "p95", peer=True),
    _gap("crash_without_witness", "redis-ha", "worst", goal=2.5),
    _gap("crash_without_witness", "redis-py", "worst", goal=3.3),
    _gap("crash_without_witness", "redis-py-retries", "worst", peer=True),
    Figure("client", ("threads", "ratio"), "a call through our client", goal=1.05),
    Figure("client", ("asyncio", "ratio"), "the same with asyncio", goal=1.05),
    Figure("stack", ("up_ratio",), "first `pulumi up`, against docker-compose"),
    Figure("stack", ("no_change_ratio",), "`pulumi up` without a change, against it"),
    Figure("stack", ("pulumi_seconds", "preview"), "`pulumi preview` of it all", "s"),
    Figure("stack", ("pulumi_seconds", "up"), "first `pulumi up`", "s"),
    Figure("stack", ("pulumi_seconds", "no_change_up"), "`pulumi up` without a change", "s"),
    Figure("follow", ("cpu_share",), "share of a core to follow 2.7 MB/s", "", 0.03),
    Figure("follow", ("peer_cpu_share",), "redis-cli --replica's share of a core", "", peer=True),
    Figure("follow", ("cpu_ratio",), "ours against it"),
    *(
        _protection(rung, test)
        for rung in ("append-only file", "two replicas", "ACL user", "TLS, sentinels")
        for test in _TESTS
    ),
    *(_protection("whole cluster", test) for test in _TESTS),
    *(_slowest("plain", test, peer=True) for test in _TESTS),
    *(_slowest("whole cluster", test) for test in _TESTS),
)
# What was compared with what, for the heads of the tables.
PEERS = {
    "snapshot": (
        "`redis-cli --rdb /dev/null`, wall time, in pairs. The whole command adds to the transfer"
        " the interpreter's start, finding a replica, reading the object back and the proof that a"
        " scratch server loads it; what one would write by hand has none of these"
    ),
    "growth": "the same command over a sixteenth of the data",
    "restore": "stock `redis-server` over the same RDB, until it answers",
    "failover": (
        "each kind of client in the same run, down-after 2 s: processes on one machine's"
        " loopback, killed with SIGKILL. Both kinds of redis-py are its Sentinel class with a"
        " timeout of 0.25 s for TCP and of 2 s for an answer; one has its own retries off, the"
        " other has them as they come"
    ),
    "client": "redis-py on the same master, time of a call",
    "stack": (
        "docker-compose with the files of `redis-ha compose`: the same nodes, image, settings."
        " `make up`, which also installs what is missing, is not measured"
    ),
    "follow": (
        "`redis-cli --replica > /dev/null`, which prints each command by itself and keeps none,"
        " on the same stream at the same time"
    ),
    "protections": (
        "plain Redis in the same round: requests a second by redis-benchmark, each rung with all"
        " of those before it. `TLS, sentinels` also brings three sentinels and a redis.conf like"
        " the stack's: a user for each role, a backlog of 16 MB"
    ),
}


def measured(results: Mapping[str, Any]) -> Iterator[tuple[Figure, float]]:
    """Give the figures that the results have, with their values."""
    for figure in FIGURES:
        value = figure.of(results)
        if value is not None:
            yield figure, value
