"""Watches every data node and sentinel while the test runs, from threads of its own.

Whether a node accepts writes is tried, not concluded: each look sends a small write.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis

from redis_ha.connection import Address
from redis_ha.discovery import one_line, sentinel_fields
from redis_ha.failover_test.ledger import LIFETIME, key_of
from redis_ha.failover_test.records import Sample, SentinelSample
from redis_ha.site import Site

PERIOD = 0.02
SENTINEL_PERIOD = 0.1
# A look that takes longer counts as no answer (s).
_PATIENCE = 0.4


class Observer:
    """What was seen so far; `watching` starts and ends the looking."""

    def __init__(self, site: Site, run: str) -> None:
        self._access = site.app or site.operator
        self._site = site
        self._run = run
        self._stop = threading.Event()
        self.nodes: dict[str, list[Sample]] = {m.name: [] for m in site.data_nodes}
        self.sentinels: dict[str, list[SentinelSample]] = {m.name: [] for m in site.sentinels}

    @contextmanager
    def watching(self) -> Iterator["Observer"]:
        """Look from now to the end of the block."""
        threads = [
            threading.Thread(target=self._watch_node, args=(m.name, m.address), daemon=True)
            for m in self._site.data_nodes
        ]
        threads += [
            threading.Thread(target=self._watch_sentinel, args=(m.name, m.address), daemon=True)
            for m in self._site.sentinels
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(5)

    def first_master_since(self, moment: float, *, besides: str) -> float | None:
        """Say when another node was first seen to be master; None when none was."""
        seen = (
            sample.at
            for name, samples in self.nodes.items()
            for sample in samples
            if name != besides and sample.at > moment and sample.role == "master"
        )
        return min(seen, default=None)

    def probe_keys(self) -> list[str]:
        """Name the keys that the looks write."""
        return [self._probe(name) for name in self.nodes]

    def _probe(self, name: str) -> str:
        return key_of(self._run, "observer", name)

    def _watch_node(self, name: str, address: Address) -> None:
        client: redis.Redis | None = None
        while not self._stop.wait(PERIOD):
            client = client or self._access.connect(address, timeout=_PATIENCE)
            sample = look(client, self._probe(name))
            if sample.role is None:
                client.close()
                client = None
            self.nodes[name].append(sample)

    def _watch_sentinel(self, name: str, address: Address) -> None:
        while not self._stop.is_set():
            try:
                with self._access.connect(address, timeout=_PATIENCE) as client:
                    self._follow_sentinel(name, client)
            except (redis.RedisError, OSError):
                self._stop.wait(SENTINEL_PERIOD)

    def _follow_sentinel(self, name: str, client: redis.Redis) -> None:
        while not self._stop.wait(SENTINEL_PERIOD):
            fields = sentinel_fields(client, self._access.master_name)
            master = Address(str(fields["ip"]), int(fields["port"]))
            self.sentinels[name].append(
                SentinelSample(
                    time.monotonic(), self._site.name_of(master), int(fields["config-epoch"])
                )
            )


def look(client: Any, probe: str) -> Sample:
    """Ask a node for its role and whether it takes a write; a failure is an answer too."""
    try:
        role = client.role()[0]
    except (redis.RedisError, OSError) as error:
        return Sample(time.monotonic(), None, problem=one_line(error))
    name = role.decode() if isinstance(role, bytes) else role
    if name != "master":
        return Sample(time.monotonic(), "slave")
    try:
        client.set(probe, "1", ex=LIFETIME)
    except redis.ResponseError as error:
        return Sample(time.monotonic(), "master", problem=one_line(error))
    except (redis.RedisError, OSError) as error:
        # Paused writes look like this; the connection is of no use any more.
        client.close()
        return Sample(time.monotonic(), "master", problem=one_line(error))
    return Sample(time.monotonic(), "master", writable=True)
