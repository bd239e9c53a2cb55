"""Writers that keep a ledger of every acknowledged write, to say afterwards which were lost."""

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import redis

from redis_ha.connection import Address
from redis_ha.discovery import Access, ask_nodes, ask_sentinels, majority_master
from tests.processes.cluster import Cluster


@dataclass
class Account:
    """What one writer was told, number by number and when, and the longest silence (s)."""

    acknowledged: list[int] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)
    longest_gap: float = 0.0
    last: float = 0.0

    def note(self, number: int, now: float) -> None:
        if self.last:
            self.longest_gap = max(self.longest_gap, now - self.last)
        self.last = now
        self.acknowledged.append(number)
        self.moments.append(now)


@dataclass
class Ledger:
    """Threads that SET `ledger:<thread>:<n>` as user app on whichever node says it is master.

    A refused or interrupted write is not acknowledged and its number is not used again.
    """

    access: Access
    nodes: list[Address]
    threads: int = 4
    # Seconds between two writes of one thread; 0 writes as fast as it can.
    pace: float = 0.0005
    # Ends each value, so that what an earlier ledger left on the cluster isn't taken for ours.
    token: str = ""
    accounts: list[Account] = field(default_factory=list)
    # Why the last write that wasn't acknowledged was not.
    refusal: str = ""
    _stop: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)

    @classmethod
    @contextmanager
    def running(
        cls, cluster: Cluster, threads: int = 4, pace: float = 0.0005, token: str = ""
    ) -> Iterator["Ledger"]:
        """Write from now to the end of the block; `lost` is asked after it."""
        nodes = [node.address for node in cluster.data_nodes]
        with cls(cluster.access("app"), nodes, threads, pace, token).writing() as ledger:
            yield ledger

    @contextmanager
    def writing(self) -> Iterator["Ledger"]:
        """Write from now to the end of the block."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    @property
    def acknowledged(self) -> int:
        """Return how many writes were acknowledged so far."""
        return sum(len(account.acknowledged) for account in self.accounts)

    @property
    def longest_gap(self) -> float:
        """Return the longest time (s) that one writer waited from acknowledgement to the next."""
        return max(account.longest_gap for account in self.accounts)

    def start(self) -> None:
        self.accounts = [Account() for _ in range(self.threads)]
        self._running = [
            threading.Thread(target=self._write, args=(number,), daemon=True)
            for number in range(self.threads)
        ]
        for thread in self._running:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._running:
            thread.join(10)

    def wait_for_writes(self, count: int, timeout: float = 20.0) -> None:
        """Wait until `count` more writes were acknowledged."""
        target, deadline = self.acknowledged + count, time.monotonic() + timeout
        while self.acknowledged < target:
            assert time.monotonic() < deadline, (
                f"no {count} writes within {timeout} s; {self.refusal}"
            )
            time.sleep(0.01)

    def lost(self, cluster: Cluster) -> list[str]:
        """Return the acknowledged keys that the master no longer holds."""
        with cluster.settled_master().client(timeout=10.0) as client:
            return self.missing_on(client)

    def missing_on(self, client: redis.Redis) -> list[str]:
        """Return the acknowledged keys that one node doesn't hold, on whatever cluster."""
        missing: list[str] = []
        for writer, account in enumerate(self.accounts):
            for start in range(0, len(account.acknowledged), 1000):
                part = account.acknowledged[start : start + 1000]
                keys = [f"ledger:{writer}:{number}" for number in part]
                pairs = zip(keys, client.mget(keys), part, strict=True)
                missing += [key for key, value, number in pairs if value != self._value(number)]
        return missing

    def acknowledged_at(self, key: str) -> float:
        """Return when (monotonic seconds) the write of a key was acknowledged."""
        _, writer, number = key.split(":")
        account = self.accounts[int(writer)]
        return account.moments[bisect_left(account.acknowledged, int(number))]

    def _value(self, number: int) -> str:
        return f"{number}{self.token}"

    def _write(self, writer: int) -> None:
        number, client = 0, None
        while not self._stop.is_set():
            try:
                client = client or self._master()
                if client is None:
                    self.refusal = "no node is known to be master"
                    time.sleep(0.02)
                    continue
                number += 1
                client.set(f"ledger:{writer}:{number}", self._value(number))
                self.accounts[writer].note(number, time.monotonic())
                time.sleep(self.pace)
            except (redis.RedisError, OSError) as error:
                self.refusal = f"{type(error).__name__}: {error}"
                if client is not None:
                    client.close()
                client = None
        if client is not None:
            client.close()

    def _master(self) -> redis.Redis | None:
        """Find the master by ROLE of all nodes, which is sooner right than Sentinel."""
        masters = [
            view.address for view in ask_nodes(self.access, self.nodes) if view.role == "master"
        ]
        if len(masters) > 1:
            # Which of them was promoted last, the sentinels know.
            named = majority_master(ask_sentinels(self.access))
            masters = [address for address in masters if address == named]
        return self.access.connect(masters[0]) if masters else None
