"""Throughput and p99 of a master, one protection after the other, by stock redis-benchmark.

Every rung has all that the ones before it have. They take turns in rounds, so that all see the
machine's moods alike, and each is compared with plain Redis in the same round. From the rung with
TLS on they are test clusters: with three sentinels, and with a redis.conf like the stack's.
"""

import csv
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster, Settings
from tests.processes.ports import HOST, free_ports

RUNGS = ("plain", "append-only file", "two replicas", "ACL user", "TLS, sentinels", "whole cluster")
TESTS = ("set", "get")
_CLIENTS = 50
_FENCE = ("min-replicas-to-write 1", "min-replicas-max-lag 2")


@dataclass(frozen=True)
class Target:
    """Where redis-benchmark goes, and with what."""

    port: int
    words: tuple[str, ...] = ()


@dataclass
class Rung:
    """What one rung measured, by test: requests a second and p99 (ms) of each round."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    slow: dict[str, list[float]] = field(default_factory=dict)


def measure(*, operations: int = 1_000_000, pairs: int = 5) -> dict[str, Any]:
    """Measure each rung so often, with a tenth of the operations for each of a round's tests."""
    requests = max(1000, operations // 10)
    with tempfile.TemporaryDirectory() as name, targets(Path(name)) as ladder:
        rungs = {rung: Rung() for rung in ladder}
        for _ in range(pairs):
            for rung, target in ladder.items():
                note(rungs[rung], bench(target, requests))
    plain = rungs[RUNGS[0]]
    return {
        "benchmark": "protections",
        "clients": _CLIENTS,
        "requests": requests,
        "rounds": pairs,
        **{rung: told(found, plain) for rung, found in rungs.items()},
    }


def bench(target: Target, requests: int) -> list[dict[str, str]]:
    """Run redis-benchmark once; raises CalledProcessError."""
    words = ["-h", HOST, "-p", str(target.port), "-t", ",".join(TESTS), "-n", str(requests)]
    words += ["-c", str(_CLIENTS), "-d", "64", "-r", "100000", "--csv", *target.words]
    done = subprocess.run(
        ["redis-benchmark", *words], capture_output=True, text=True, check=True, timeout=600
    )
    return list(csv.DictReader(line for line in done.stdout.splitlines() if line.startswith('"')))


def note(rung: Rung, rows: Sequence[Mapping[str, str]]) -> None:
    """Add a round's rows, one of each test."""
    for row in rows:
        test = row["test"].lower()
        rung.rates.setdefault(test, []).append(float(row["rps"]))
        rung.slow.setdefault(test, []).append(float(row["p99_latency_ms"]))


def told(rung: Rung, plain: Rung) -> dict[str, Any]:
    """Give medians, and the median of the ratios to plain Redis of the same rounds."""
    return {
        test: {
            "per_second": round(statistics.median(rates)),
            "p99_ms": round(statistics.median(rung.slow[test]), 3),
            "of_plain": round(
                statistics.median(
                    [one / other for one, other in zip(rates, plain.rates[test], strict=True)]
                ),
                3,
            ),
        }
        for test, rates in rung.rates.items()
    }


@contextmanager
def targets(directory: Path) -> Iterator[dict[str, Target]]:
    """Start a master for every rung, with the replicas that belong to it."""
    password = secrets.token_hex(16)
    user = ("--user", "bench", "on", f">{password}", "~*", "&*", "+@all")
    login = ("--user", "bench", "-a", password)
    durable = ("--appendonly", "yes", "--appendfsync", "everysec")
    with ExitStack() as stack:
        plain, lasting, copied, known = (
            stack.enter_context(served(directory / f"{number}", options, replicas=replicas))
            for number, (options, replicas) in enumerate(
                [((), 0), (durable, 0), (durable, 2), ((*durable, *user), 2)]
            )
        )
        encrypted = stack.enter_context(clustered(directory / "tls", whole=False))
        whole = stack.enter_context(clustered(directory / "whole", whole=True))
        operator = ("--user", "operator", "-a", files.PASSWORDS["operator"], "--tls", "--cacert")
        ports = (plain, lasting, copied, known, encrypted[0], whole[0])
        words: list[tuple[str, ...]] = [(), (), (), login]
        words += [(*operator, ca) for _, ca in (encrypted, whole)]
        yield {
            rung: Target(port, options)
            for rung, port, options in zip(RUNGS, ports, words, strict=True)
        }


@contextmanager
def served(directory: Path, options: Sequence[str], *, replicas: int) -> Iterator[int]:
    """Run a stock master without TLS, and its replicas; gives the master's port."""
    master, *others = free_ports(1 + replicas)
    with ExitStack() as stack:
        stack.enter_context(_server(directory / "master", master, options))
        for number, port in enumerate(others):
            follow = (*options, "--replicaof", f"{HOST} {master}")
            stack.enter_context(_server(directory / f"replica-{number}", port, follow))
        wait_for_replicas(redis.Redis(host=HOST, port=master), replicas)
        yield master


@contextmanager
def _server(directory: Path, port: int, options: Sequence[str]) -> Iterator[None]:
    directory.mkdir(parents=True)
    words = ["--port", str(port), "--bind", HOST, "--dir", str(directory), "--save", ""]
    words += ["--repl-diskless-sync-delay", "0", *options]
    with subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


@contextmanager
def clustered(directory: Path, *, whole: bool) -> Iterator[tuple[int, str]]:
    """Run a cluster with TLS and sentinels; `whole`: guards, witnesses and the fence too.

    Gives the master's port and the CA's file.
    """
    settings = Settings(
        guarded=whole,
        witness=whole,
        redis_lines=(*(_FENCE if whole else ()), "appendonly yes", 'save ""'),
    )
    with Cluster.start(directory, settings) as cluster:
        yield cluster.master.address.port, str(cluster.tls.ca)


def wait_for_replicas(master: "redis.Redis", count: int) -> None:
    """Wait until so many replicas follow; raises TimeoutError."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            rows = master.info("replication")
            online = [r for n, r in rows.items() if n.startswith("slave") and n[5:].isdigit()]
            if sum(row["state"] == "online" for row in online) == count:
                return
        except redis.RedisError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"{count} replicas did not follow")
