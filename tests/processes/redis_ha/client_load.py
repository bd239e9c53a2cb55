"""Threads that write through a `Client` and keep a ledger of what was acknowledged."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from redis_ha import Client
from redis_ha.errors import RedisHaError
from tests.processes.cluster import Cluster


@dataclass
class Load:
    """Writers of `load:<thread>:<n>`; a write is acknowledged when the call returned."""

    client: Client
    threads: int
    idempotent: bool
    timeout: float
    # Seconds at which each acknowledgement came, by key.
    acknowledged: dict[str, float] = field(default_factory=dict)
    errors: list[RedisHaError] = field(default_factory=list)
    longest_call: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextmanager
    def running(
        cls, client: Client, *, threads: int, idempotent: bool = True, timeout: float = 10.0
    ) -> Iterator["Load"]:
        """Write from now to the end of the block, which every thread must survive."""
        load = cls(client, threads, idempotent, timeout)
        running = [threading.Thread(target=load._write, args=(n,)) for n in range(threads)]
        for thread in running:
            thread.start()
        try:
            yield load
        finally:
            load._stop.set()
            for thread in running:
                thread.join(timeout + 5)
        assert not any(thread.is_alive() for thread in running), "a call hangs"

    @property
    def gap(self) -> float:
        """Return the longest time (s) without an acknowledgement to any thread."""
        times = sorted(self.acknowledged.values())
        return max((b - a for a, b in pairwise(times)), default=float("inf"))

    def wait_for_writes(self, count: int, timeout: float = 20.0) -> None:
        """Wait until `count` more writes were acknowledged."""
        target, deadline = len(self.acknowledged) + count, time.monotonic() + timeout
        while len(self.acknowledged) < target:
            assert time.monotonic() < deadline, f"no {count} writes within {timeout} s"
            time.sleep(0.01)

    def lost(self, cluster: Cluster) -> dict[str, float]:
        """Return the acknowledged keys that the master doesn't hold, with their times."""
        keys = list(self.acknowledged)
        with cluster.settled_master().client(timeout=10.0) as client:
            held = [v for n in range(0, len(keys), 1000) for v in client.mget(keys[n : n + 1000])]
        pairs = zip(keys, held, strict=True)
        return {key: self.acknowledged[key] for key, value in pairs if value is None}

    def _write(self, thread: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            key, began = f"load:{thread}:{number}", time.monotonic()
            try:
                self.client.execute_with_failover(
                    lambda redis, key=key: redis.set(key, 1),  # type: ignore[misc]
                    idempotent=self.idempotent,
                    timeout=self.timeout,
                )
                self.acknowledged[key] = time.monotonic()
            except RedisHaError as error:
                self.errors.append(error)
            self.longest_call = max(self.longest_call, time.monotonic() - began)
            time.sleep(0.001)


def set_key(connection: Any) -> Any:
    return connection.set("key", "value")


def get_key(connection: Any) -> Any:
    return connection.get("key")


def app_connections(cluster: Cluster) -> int:
    """Return how many connections of user app the master has."""
    with cluster.master.client() as admin:
        return sum(row["user"] == "app" for row in admin.client_list())
