"""Clients that connect anew for every call, and keep what was refused: a cluster under rotation."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access

PACE = 0.05


@dataclass
class Callers:
    """One thread per node; each call logs in, asks, and hangs up."""

    access: Access
    nodes: list[Address]
    calls: int = 0
    refused: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def calling(self) -> Iterator["Callers"]:
        """Call from now to the end of the block."""
        threads = [threading.Thread(target=self._call, args=(n,), daemon=True) for n in self.nodes]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(10)

    def _call(self, node: Address) -> None:
        while not self._stop.is_set():
            try:
                with self.access.connect(node) as client:
                    client.execute_command("ROLE")
                self.calls += 1
            except (redis.RedisError, OSError) as error:
                self.refused.append(f"{node}: {type(error).__name__}: {error}")
            time.sleep(PACE)
