"""A restore against the bare load of the same RDB by stock Redis.

Nothing can be back sooner than a stock server has loaded the file. `live_load` is what a live
restore does of that: read from the store, decrypt, decompress and load, until a server holds the
data. `live` is the whole command: its start, a safety snapshot, a copy to every node and the switch
as well.
"""

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis

from benchmarks.snapshot import fill
from tests.processes.cluster import Cluster, Settings
from tests.processes.restore.conftest import Worker, hurry, make_worker

GOAL = 1.2
_SETTINGS = Settings(
    data_nodes=3,
    down_after=60_000,
    redis_lines=(
        "appendonly no",
        'save ""',
        "repl-timeout 600",
        "client-output-buffer-limit replica 0 0 0",
        "min-replicas-to-write 1",
        "min-replicas-max-lag 10",
    ),
)
_PATIENCE = 600.0


def measure(*, megabytes: int = 700, pairs: int = 5) -> dict[str, Any]:
    """Restore so often, each time beside a bare load; times in seconds, medians."""
    with tempfile.TemporaryDirectory() as name, filled(Path(name), megabytes) as cluster:
        worker = make_worker(cluster, Path(name) / "worker")
        worker.snapshot()
        file = Path(name) / "bare" / "dump.rdb"
        file.parent.mkdir()
        ran(worker, "latest", "--output", str(file))
        rows = [
            (bare_load(file.parent), bare_load_of_ours(worker, file), live(worker))
            for _ in range(pairs)
        ]
        size = file.stat().st_size
    bare, files, lives = zip(*rows, strict=True)
    commands, steps = zip(*lives, strict=True)
    return {
        "benchmark": "restore",
        "goal_load_ratio": GOAL,
        "pairs": pairs,
        "rdb_bytes": size,
        **told(bare, files, commands, steps),
    }


def told(
    bare: Sequence[float],
    files: Sequence[float],
    commands: Sequence[float],
    steps: Sequence[Mapping[str, float]],
) -> dict[str, Any]:
    """Sum up the rounds (s): medians, and the medians of the ratios to the round's bare load."""
    loads = [one["decrypt"] + one["load"] for one in steps]
    return {
        "bare_load_seconds": median(bare),
        "file_and_load_seconds": median(files),
        "live_load_seconds": median(loads),
        "live_load_ratio": ratio(loads, bare),
        "file_and_load_ratio": ratio(files, bare),
        "live_seconds": median(commands),
        "live_ratio": ratio(commands, bare),
        "live_steps_seconds": {step: median([one[step] for one in steps]) for step in steps[0]},
    }


@contextmanager
def filled(directory: Path, megabytes: int) -> Iterator[Cluster]:
    """Give a cluster with data, whose sentinels look often: a restore waits for them at its end."""
    with Cluster.start(directory / "cluster", _SETTINGS) as cluster:
        hurry(cluster)
        fill(cluster.master, megabytes)
        cluster.wait_until_healthy(300)
        yield cluster


def bare_load(directory: Path) -> float:
    """Start a stock server over its dump.rdb; return after how long it has loaded (s)."""
    socket = directory / "s"
    words = ["--port", "0", "--unixsocket", str(socket), "--dir", str(directory), "--save", ""]
    began = time.monotonic()
    with subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_data(socket)
            return time.monotonic() - began
        finally:
            process.kill()
            process.wait()
            socket.unlink(missing_ok=True)


def wait_for_data(socket: Path) -> None:
    """Wait until a server answers and has loaded; raises TimeoutError."""
    client = redis.Redis(unix_socket_path=str(socket))
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with suppress(redis.RedisError):
            if client.ping():
                return
        time.sleep(0.005)
    raise TimeoutError(f"{socket} has not loaded its data")


def bare_load_of_ours(worker: Worker, file: Path) -> float:
    """Bring the file out of the store, then load it: for whom the cluster is gone (s)."""
    other = file.parent.with_name("ours")
    other.mkdir(exist_ok=True)
    began = time.monotonic()
    ran(worker, "latest", "--output", str(other / "dump.rdb"))
    brought = time.monotonic() - began
    loaded = bare_load(other)
    (other / "dump.rdb").unlink()
    return brought + loaded


def live(worker: Worker) -> tuple[float, dict[str, float]]:
    """Restore into the cluster; return how long the command took and each of its steps (s)."""
    began = time.monotonic()
    printed = ran(worker, "latest")
    return time.monotonic() - began, json.loads(printed)["seconds"]


def ran(worker: Worker, *words: str) -> str:
    """Run a restore that must succeed; return what it printed."""
    done = worker.restore(*words)
    if done.code:
        raise RuntimeError(done.stderr)
    return done.stdout


def median(values: Sequence[float]) -> float:
    """Give the median, in milliseconds' precision."""
    return round(statistics.median(values), 3)


def ratio(ours: Sequence[float], bare: Sequence[float]) -> float:
    """Give the median of the pairs' ratios: a pair shares the machine's mood."""
    return median([one / other for one, other in zip(ours, bare, strict=True)])
