"""What following a steady stream costs: the CPU share and the memory of one follower.

The stream is made of small SETs in small batches, as many clients make it, at a fixed rate. Beside
the follower, on the same replica, `redis-cli --replica > /dev/null` reads the same stream: a stock
tool that prints each command and keeps none.
"""

import json
import multiprocessing
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from backup_worker.config import LogSettings
from benchmarks.by_hand import redis_cli, secret
from redis_ha.connection import Address
from redis_ha.discovery import Access
from tests.processes.cluster import Cluster, Settings
from tests.processes.cluster_process import Process
from tests.processes.log import follower_process
from tests.processes.log.log_worker import LogWorker

GOAL_SHARE = 0.03
RATE = 2_700_000
SECONDS = 20
_VALUE = 90
_BATCH = 10
_SETTINGS = Settings(data_nodes=2, down_after=60_000)


def measure() -> dict[str, Any]:
    """Follow RATE bytes a second for SECONDS; sizes in bytes, shares of one core."""
    with (
        tempfile.TemporaryDirectory() as name,
        Cluster.start(Path(name) / "cluster", _SETTINGS) as cluster,
    ):
        worker = LogWorker(Path(name) / "worker", cluster)
        path = follower_process.describe(worker, LogSettings())
        with follower_process.start(path) as process:
            wait_until_attached(process)
            time.sleep(2)  # its start is over
            (idle,) = shares_of(process, seconds=5.0)
            (replica,) = cluster.replicas
            with stock_follower(replica) as peer, writing(cluster):
                time.sleep(2)
                before = follower_process.ask(process)
                ours, theirs = shares_of(process, peer, seconds=SECONDS)
                after = follower_process.ask(process)
            peak = peak_memory(process.pid)
            process.communicate("")
        return {
            "benchmark": "follow",
            "goal_cpu_share": GOAL_SHARE,
            "bytes_per_second": round((after["received"] - before["received"]) / SECONDS),
            "command_bytes": len(command(0, b"v" * _VALUE)),
            **told(idle, ours, theirs),
            "peak_rss_bytes": peak,
            "segments": len(worker.segments()),
        }


def told(idle: float, ours: float, theirs: float) -> dict[str, float]:
    """Give the shares of a core, and ours as a multiple of the peer's."""
    return {
        "cpu_share": round(ours, 4),
        "idle_cpu_share": round(idle, 4),
        "peer_cpu_share": round(theirs, 4),
        "cpu_ratio": round(ours / theirs, 3),
    }


@contextmanager
def stock_follower(replica: Process) -> Iterator["subprocess.Popen[str]"]:
    """Run `redis-cli --replica > /dev/null`; give it once the stream begins."""
    words = [*redis_cli(replica), "--replica"]
    with subprocess.Popen(
        words, env=secret(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = []
            for line in process.stderr or ():
                said.append(line)
                if "Logging commands" in line:
                    break
            else:
                raise RuntimeError(f"{words} ended: {''.join(said)}")
            yield process
        finally:
            process.kill()


def wait_until_attached(process: Any) -> None:
    """Wait until the follower reads from a replica."""
    deadline = time.monotonic() + 20
    while not follower_process.ask(process)["source"]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not attached: {follower_process.ask(process)}")
        time.sleep(0.1)


def shares_of(*processes: Any, seconds: float) -> list[float]:
    """Return the share of a core that each process takes, system calls included."""
    before, began = [cpu_seconds(process.pid) for process in processes], time.monotonic()
    time.sleep(seconds)
    after, passed = [cpu_seconds(process.pid) for process in processes], time.monotonic() - began
    return [(one - other) / passed for one, other in zip(after, before, strict=True)]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, from the scheduler's own count (ns) of each thread."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            total += int(path.read_text().split()[0])
    return total / 1e9


def peak_memory(pid: int) -> int:
    """Return the peak resident set of a running process in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no VmHWM of {pid}")


@contextmanager
def writing(cluster: Cluster) -> Iterator[None]:
    """Write RATE bytes of the stream a second from a process of its own."""
    arguments = (cluster.access("app"), cluster.master.address)
    writer = multiprocessing.get_context("spawn").Process(target=write, args=arguments)
    writer.start()
    try:
        yield
    finally:
        writer.terminate()
        writer.join()


def write(access: Access, address: Address) -> None:
    """Send batches at a steady pace for ever."""
    pool = random.randbytes(1 << 20).hex().encode()
    began, sent, number = time.monotonic(), 0, 0
    with access.connect(address, decode=False, timeout=10.0) as client:
        connection: Any = client.connection_pool.get_connection("SET")
        while True:
            batch = b"".join(next_commands(pool, number))
            number += _BATCH
            connection.send_packed_command([batch])
            for _ in range(_BATCH):
                connection.read_response()
            sent += len(batch)
            time.sleep(max(0.0, began + sent / RATE - time.monotonic()))


def next_commands(pool: bytes, number: int) -> Iterator[bytes]:
    """Yield a batch; values are hexadecimal digits: half of it entropy, as text often is."""
    for key in range(number, number + _BATCH):
        start = random.randrange(len(pool) - _VALUE)
        yield command(key % 1_000_000, pool[start : start + _VALUE])


def command(key: int, value: bytes) -> bytes:
    """Encode one SET."""
    return b"*3\r\n$3\r\nSET\r\n$11\r\nkey:%07d\r\n$%d\r\n%s\r\n" % (key, len(value), value)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
