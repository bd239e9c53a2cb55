"""A snapshot against `redis-cli --rdb /dev/null`, from the same replica over TLS, in pairs.

The transfer is what the two have in common. The whole command adds the interpreter's start,
finding a replica, reading the object back and its proof in a scratch server; its wall time is what
stands against the whole of what one would write by hand.
"""

import json
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.by_hand import Run, run_bgsave, run_piped, run_redis_cli
from tests.contract.store import servers
from tests.processes.cluster import Cluster, Settings
from tests.processes.cluster_process import Process
from tests.processes.worker_command import WorkerCommand, watch_memory

GOAL = 1.05
Way = Callable[[Process, WorkerCommand], Run]
# Both end in a local file: nothing to hold a snapshot to S3 against.
BY_HAND: Mapping[str, Way] = {"piped": run_piped, "bgsave": run_bgsave}
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
            "file": compare(WorkerCommand(directory, cluster), cluster, pairs=pairs, ways=BY_HAND),
            "s3": compare(
                WorkerCommand(directory, cluster, settings=s3), cluster, pairs=pairs, ways={}
            ),
        }


def compare(
    worker: WorkerCommand, cluster: Cluster, *, pairs: int, ways: Mapping[str, Way]
) -> dict[str, Any]:
    """Run redis-cli, the worker and the other `ways` in turn, from the same replica."""
    (replica,) = cluster.replicas
    ours, theirs = [], []
    by_hand: dict[str, list[Run]] = {way: [] for way in ways}
    last: dict[str, Any] = {}
    for _ in range(pairs):
        theirs.append(run_redis_cli(replica))
        run, last = run_snapshot(worker)
        ours.append(run)
        for way, copy in ways.items():
            by_hand[way].append(copy(replica, worker))
    sizes = {"rdb_bytes": last["rdb_size"], "stored_bytes": last["size"]}
    return {"pairs": pairs, **sizes, **told(ours, theirs, by_hand)}


def told(
    ours: Sequence[Run], theirs: Sequence[Run], by_hand: Mapping[str, Sequence[Run]]
) -> dict[str, Any]:
    """Sum up the pairs: the transfer beside redis-cli's, whole commands beside what is whole."""
    return {
        "redis_cli_rdb_seconds": _median(theirs, lambda run: run.seconds),
        **{
            f"{way}_seconds": _median(runs, lambda run: run.seconds)
            for way, runs in by_hand.items()
        },
        "transfer_seconds": _median(ours, lambda run: run.transfer),
        "command_seconds": _median(ours, lambda run: run.seconds),
        "transfer_ratio": _ratio(ours, theirs, lambda run: run.transfer),
        "command_ratio": _ratio(ours, theirs, lambda run: run.seconds),
        **{
            f"{w}_ratio": _ratio(ours, runs, lambda run: run.seconds) for w, runs in by_hand.items()
        },
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


def _median(runs: Sequence[Run], value: Callable[[Run], float]) -> float:
    return round(statistics.median(map(value, runs)), 3)


def _ratio(ours: Sequence[Run], theirs: Sequence[Run], value: Callable[[Run], float]) -> float:
    """Return the median of the pairs' ratios: a pair shares the machine's mood."""
    ratios = [value(one) / other.seconds for one, other in zip(ours, theirs, strict=True)]
    return round(statistics.median(ratios), 3)
