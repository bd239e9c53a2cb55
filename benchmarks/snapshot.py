"""A snapshot against `redis-cli --rdb /dev/null`, from the same replica over TLS, in pairs.

The transfer is what the two have in common. The whole command adds the interpreter's start,
finding a replica, and reading the object back.
"""

import json
import os
import random
import resource
import shlex
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.store import servers
from tests.processes import cluster_files as files
from tests.processes.cluster import Cluster, Settings
from tests.processes.cluster_process import Process
from tests.processes.worker_command import WorkerCommand, watch_memory

GOAL = 1.05
GROWTH = (1, 4, 16)
GOAL_RSS = {"file": 64 << 20, "s3": 96 << 20}
_VALUE = 1024
_SETTINGS = Settings(
    data_nodes=2,
    down_after=60_000,
    redis_lines=(
        "appendonly no",
        'save ""',
        "repl-timeout 600",
        "client-output-buffer-limit replica 0 0 0",
    ),
)


@dataclass(frozen=True)
class Run:
    """Wall time (s) of one run; for ours also the transfer alone, CPU time and peak RSS (bytes)."""

    seconds: float
    transfer: float = 0.0
    cpu: float = 0.0
    peak: int = 0


def measure(*, megabytes: int = 700, pairs: int = 5) -> dict[str, Any]:
    """Fill a cluster, run the pairs with each store; sizes in bytes, times and ratios medians."""
    with (
        tempfile.TemporaryDirectory() as name,
        filled(Path(name), megabytes) as cluster,
        s3_settings(Path(name) / "s3") as s3,
    ):
        directory = Path(name)
        return {
            "benchmark": "snapshot",
            "goal_transfer_ratio": GOAL,
            "file": compare(WorkerCommand(directory, cluster), cluster, pairs=pairs),
            "s3": compare(WorkerCommand(directory, cluster, settings=s3), cluster, pairs=pairs),
        }


def measure_growth(*, megabytes: int = 700) -> dict[str, Any]:
    """Snapshot 1, 4 and 16 parts of the data: time (s) is to grow as the data, RSS not."""
    found: dict[str, list[tuple[Run, dict[str, Any]]]] = {"file": [], "s3": []}
    with (
        tempfile.TemporaryDirectory() as name,
        filled(Path(name), megabytes // GROWTH[-1]) as cluster,
        s3_settings(Path(name) / "s3") as s3,
    ):
        stores = {
            "file": WorkerCommand(Path(name), cluster),
            "s3": WorkerCommand(Path(name), cluster, settings=s3),
        }
        for parts in GROWTH:
            fill(cluster.master, megabytes * parts // GROWTH[-1])
            cluster.wait_until_healthy(120)
            for kind, worker in stores.items():
                found[kind].append(run_snapshot(worker))
    return {
        "benchmark": "growth",
        "goal_peak_rss_bytes": GOAL_RSS,
        **{kind: grown(runs) for kind, runs in found.items()},
    }


def grown(found: list[tuple[Run, dict[str, Any]]]) -> dict[str, Any]:
    """Compare the snapshots of less and of more data."""
    runs = [run for run, _ in found]
    sizes = [described["rdb_size"] for _, described in found]
    return {
        "rdb_bytes": sizes,
        "transfer_seconds": [run.transfer for run in runs],
        "data_factors": {
            str(parts): round(size / sizes[0], 2) for parts, size in zip(GROWTH, sizes, strict=True)
        },
        "time_factors": {
            str(parts): round(run.transfer / runs[0].transfer, 2)
            for parts, run in zip(GROWTH, runs, strict=True)
        },
        "peak_rss_bytes": [run.peak for run in runs],
        "memory_factor": round(runs[-1].peak / runs[0].peak, 2),
    }


def compare(worker: WorkerCommand, cluster: Cluster, *, pairs: int) -> dict[str, Any]:
    """Run the stock ways and the worker in turn, from the same replica."""
    (replica,) = cluster.replicas
    ours, theirs, piped, saved = [], [], [], []
    last: dict[str, Any] = {}
    for _ in range(pairs):
        theirs.append(run_redis_cli(replica))
        run, last = run_snapshot(worker)
        ours.append(run)
        piped.append(run_piped(replica, worker))
        saved.append(run_bgsave(replica, worker))
    return {
        "pairs": pairs,
        "rdb_bytes": last["rdb_size"],
        "stored_bytes": last["size"],
        "redis_cli_rdb_seconds": _median(theirs, lambda run: run.seconds),
        "piped_seconds": _median(piped, lambda run: run.seconds),
        "bgsave_seconds": _median(saved, lambda run: run.seconds),
        "transfer_seconds": _median(ours, lambda run: run.transfer),
        "command_seconds": _median(ours, lambda run: run.seconds),
        "transfer_ratio": _ratio(ours, theirs, lambda run: run.transfer),
        "command_ratio": _ratio(ours, theirs, lambda run: run.seconds),
        "piped_ratio": _ratio(ours, piped, lambda run: run.transfer),
        "bgsave_ratio": _ratio(ours, saved, lambda run: run.transfer),
        "cpu_seconds": _median(ours, lambda run: run.cpu),
        "peak_rss_bytes": max(run.peak for run in ours),
    }


@contextmanager
def s3_settings(directory: Path) -> Iterator[dict[str, str]]:
    """Start a real S3 server and give the worker's settings for it."""
    directory.mkdir()
    with servers.versitygw(directory) as endpoint:
        (directory / "bucket").mkdir()
        yield {
            **servers.CREDENTIALS,
            "AWS_DEFAULT_REGION": "us-east-1",
            "REDIS_BACKUP_STORE": "s3://bucket/cluster",
            "REDIS_BACKUP_S3_ENDPOINT": endpoint,
        }


@contextmanager
def filled(directory: Path, megabytes: int) -> Iterator[Cluster]:
    """Give a cluster that holds so many MiB of values no compressor finds repeats in."""
    with Cluster.start(directory / "cluster", _SETTINGS) as cluster:
        fill(cluster.master, megabytes)
        cluster.wait_until_healthy(120)
        yield cluster


def fill(master: Process, megabytes: int) -> None:
    """Write values of 1 KiB of hexadecimal digits: half of it entropy, as text data often is."""
    pool = os.urandom(8 * 1024 * 1024).hex().encode()
    with master.client(decode=False, timeout=60.0) as client:
        for block in range(megabytes):
            pipeline = client.pipeline(transaction=False)
            for number in range(1024):
                start = random.randrange(len(pool) - _VALUE)
                pipeline.set(f"key:{block * 1024 + number}", pool[start : start + _VALUE])
            pipeline.execute()


def redis_cli(replica: Process) -> list[str]:
    """Return the stock client's words; its password is in `_secret`."""
    command = ["redis-cli", "-h", replica.address.host, "-p", str(replica.address.port)]
    return [*command, "--tls", "--cacert", str(replica.access.ca), "--user", "backup"]


def _secret() -> dict[str, str]:
    return os.environ | {"REDISCLI_AUTH": files.PASSWORDS["backup"]}


def run_redis_cli(replica: Process) -> Run:
    """Time the stock client."""
    began = time.monotonic()
    done = subprocess.run(
        [*redis_cli(replica), "--rdb", "/dev/null"],
        env=_secret(),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    # It exits with 1 because /dev/null can be neither truncated nor synced.
    if "Transfer finished with success" not in done.stderr:
        raise RuntimeError(done.stderr)
    return Run(seconds)


def run_piped(replica: Process, worker: WorkerCommand) -> Run:
    """Time what one would write by hand: the stock client into zstd into age into a file."""
    transfer = shlex.join([*redis_cli(replica), "--rdb", "-"])
    run, said = _sealed(f"{transfer} | zstd -1", worker)
    if "Transfer finished with success" not in said:
        raise RuntimeError(said)
    return run


def run_bgsave(replica: Process, worker: WorkerCommand) -> Run:
    """Time the other usual way: a save to the node's own disk, then zstd and age over the file."""
    began = time.monotonic()
    with replica.client(timeout=600.0) as client:
        client.bgsave()
        while client.info("persistence")["rdb_bgsave_in_progress"]:
            time.sleep(0.01)
    saved = time.monotonic() - began
    sealed, _ = _sealed(f"zstd -1 < {replica.data / 'dump.rdb'}", worker)
    return Run(saved + sealed.seconds)


def _sealed(source: str, worker: WorkerCommand) -> tuple[Run, str]:
    """Time a pipe that ends in age and a file, synced as ours are; return what it said, too."""
    target = worker.directory / "by-hand.age"
    script = f"{source} | age -r {worker.identity.to_public()} > {target} && sync {target}"
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", script], env=_secret(), capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(done.stderr)
    target.unlink()
    return Run(seconds), done.stderr


def run_snapshot(worker: WorkerCommand) -> tuple[Run, dict[str, Any]]:
    """Time `backup-worker snapshot` as a user runs it."""
    before, began = children_cpu(), time.monotonic()
    with worker.start("snapshot", "--json") as process:
        peak = watch_memory(process)
        out, err = process.communicate()
    seconds = time.monotonic() - began
    if process.returncode:
        raise RuntimeError(err)
    described = json.loads(out)
    return Run(seconds, described["seconds"], children_cpu() - before, peak), described


def children_cpu() -> float:
    """Return the CPU time (s) of all children that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _median(runs: list[Run], value: Callable[[Run], float]) -> float:
    return round(statistics.median(map(value, runs)), 3)


def _ratio(ours: list[Run], theirs: list[Run], value: Callable[[Run], float]) -> float:
    """Return the median of the pairs' ratios: a pair shares the machine's mood."""
    ratios = [value(one) / other.seconds for one, other in zip(ours, theirs, strict=True)]
    return round(statistics.median(ratios), 3)
