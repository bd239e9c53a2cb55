"""A cluster with a witness beside each sentinel, and what a test asks of the witnesses."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from redis_ha.discovery import ask_sentinels
from tests.processes.cluster import Cluster, Process, Settings

SETTINGS = Settings(guarded=True, witness=True, down_after=5000)
# As the stack has it: a new master takes writes only once a replica follows it.
FENCED = replace(SETTINGS, redis_lines=("min-replicas-to-write 1", "min-replicas-max-lag 3"))


def status(sentinel: Process) -> dict[str, Any]:
    """Read what the witness beside a sentinel says of itself; empty before its first word."""
    path = sentinel.directory / "run" / "witness.json"
    with suppress(OSError):
        return dict(json.loads(path.read_text()))
    return {}


def witness_pid(sentinel: Process) -> int | None:
    """Return the pid of the witness that the sentinel's supervisor started."""
    assert sentinel.process is not None
    pid = sentinel.process.pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"witness" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                return int(child)
    return None


def asked(cluster: Cluster) -> int:
    """Count the failovers that witnesses asked for since the cluster began, from their logs."""
    return sum(s.log.count('"event": "asking-for-failover"') for s in cluster.sentinels)


def epoch(cluster: Cluster) -> int:
    return max(view.config_epoch for view in ask_sentinels(cluster.access()))


def settle(cluster: Cluster) -> Cluster:
    """Wait until the cluster is healthy and every witness watches and is connected to all."""
    cluster.start_all()
    cluster.wait_for(lambda: all(_watches(s) for s in cluster.sentinels), 30, lambda: says(cluster))
    return cluster


def says(cluster: Cluster) -> list[dict[str, Any]]:
    return [status(sentinel) for sentinel in cluster.sentinels]


def _watches(sentinel: Process) -> bool:
    said, path = status(sentinel), sentinel.directory / "run" / "witness.json"
    fresh = bool(said) and time.time() - path.stat().st_mtime < 7
    calm = said.get("state") == "watching" and not said.get("unreachable")
    return fresh and calm and witness_pid(sentinel) is not None


@contextmanager
def no_failover(cluster: Cluster, *, watch_seconds: float = 1.0) -> Iterator[Process]:
    """Fail when the block, or the time after it, leads to another master or to a request."""
    master, before = cluster.master, (epoch(cluster), asked(cluster))
    yield master
    deadline = time.monotonic() + watch_seconds
    while time.monotonic() < deadline:
        assert (epoch(cluster), asked(cluster)) == before, says(cluster)
        time.sleep(0.1)
    assert cluster.master is master


def promotion_seconds(cluster: Cluster, dead: Process, *, within: float) -> float:
    """Poll ROLE of the others over open connections; return the seconds until one is master."""
    began = time.monotonic()
    others = {
        node.name: node.client(timeout=1.0) for node in cluster.data_nodes if node is not dead
    }
    while time.monotonic() - began < within:
        for client in others.values():
            # A promotion closes the connections of the promoted; a busy one may answer late.
            with suppress(redis.ConnectionError, redis.TimeoutError):
                if client.role()[0] == "master":
                    return time.monotonic() - began
        time.sleep(0.005)
    raise AssertionError(f"no promotion within {within} s: {says(cluster)}")


def kill_server(node: Process) -> None:
    """kill -9 the server, and don't wait for its supervisor."""
    assert node.server_pid is not None
    os.kill(node.server_pid, signal.SIGKILL)
