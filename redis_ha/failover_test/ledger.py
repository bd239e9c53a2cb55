"""The ledger of acknowledged writes: one hash per writer, one field per acknowledged number.

A write is one atomic HSET of the number itself and of `last`, which the readers look at. A number
that was refused, or whose reply never came, is not acknowledged and is not used again.
"""

import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from redis_ha.failover_test.clients import Contender
from redis_ha.failover_test.records import ClientRecord, LostWrite, StaleRead, WriterRecord

LAST = "last"
# A key that a killed run left behind goes away by itself (s).
LIFETIME = 3600


def key_of(run: str, kind: str, writer: int | str) -> str:
    """Name the hash that one writer writes to; the same cluster may hold several runs'."""
    return f"failover-test:{run}:{kind}:{writer}"


@dataclass
class Writer:
    """Writes rising numbers, at most one each `pace` seconds, and notes what was acknowledged."""

    client: Contender
    key: str
    pace: float
    numbers: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    failed: int = 0
    longest_call: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)

    def run(self, stop: threading.Event) -> None:
        """Write until `stop`."""
        number = 0
        while not stop.is_set():
            number += 1
            began = time.monotonic()
            acknowledged = self._attempt(number)
            self.longest_call = max(self.longest_call, time.monotonic() - began)
            # A refusal that comes at once must not become a busy loop.
            pause = self.pace if acknowledged else max(self.pace, 0.005)
            stop.wait(max(0.0, began + pause - time.monotonic()))

    def _attempt(self, number: int) -> bool:
        def put(redis: Any) -> None:
            redis.hset(self.key, mapping={str(number): "1", LAST: str(number)})
            if number == 1:
                redis.expire(self.key, LIFETIME)

        try:
            self.client.write(put)
        except Exception as error:  # noqa: BLE001 - whatever the application would see
            self.failed += 1
            self.errors[describe(error)] += 1
            return False
        # Times last: a reader takes as many entries as there are times.
        self.numbers.append(number)
        self.times.append(time.monotonic())
        return True


@dataclass
class Reader:
    """Reads `last` of each writer in turn and notes what was older than acknowledged."""

    client: Contender
    writers: Sequence[Writer]
    pace: float
    times: list[float] = field(default_factory=list)
    stale: list[StaleRead] = field(default_factory=list)
    failed: int = 0
    longest_call: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`."""
        turn = 0
        while not stop.is_set():
            turn += 1
            began = time.monotonic()
            self._attempt(self.writers[turn % len(self.writers)], began)
            self.longest_call = max(self.longest_call, time.monotonic() - began)
            stop.wait(max(0.0, began + self.pace - time.monotonic()))

    def _attempt(self, writer: Writer, began: float) -> None:
        known = len(writer.times)
        try:
            value = self.client.read(lambda redis: redis.hget(writer.key, LAST))
        except Exception as error:  # noqa: BLE001 - whatever the application would see
            self.failed += 1
            self.errors[describe(error)] += 1
            return
        self.times.append(time.monotonic())
        behind = staleness(int(value or 0), writer.numbers[:known], writer.times, began=began)
        if behind is not None:
            self.stale.append(StaleRead(began, behind))


def staleness(
    value: int, numbers: Sequence[int], times: Sequence[float], *, began: float
) -> float | None:
    """Say how long (s) before the read began the first number was acknowledged that it misses.

    `numbers` are those acknowledged when the read began; None when it shows all of them.
    """
    if not numbers or value >= numbers[-1]:
        return None
    return began - times[bisect_right(numbers, value)]


def find_lost(
    clients: Sequence[ClientRecord], held: Mapping[tuple[str, int], AbstractSet[str]]
) -> tuple[LostWrite, ...]:
    """List the acknowledged writes that are not among the fields held, by kind and writer."""
    return tuple(
        LostWrite(client.kind, index, number, at)
        for client in clients
        for index, writer in enumerate(client.writers)
        for number, at in zip(writer.numbers, writer.times, strict=True)
        if str(number) not in held[client.kind, index]
    )


def close_books(kind: str, writers: Sequence[Writer], readers: Sequence[Reader]) -> ClientRecord:
    """Turn what the threads noted into a record."""
    workers: list[Writer | Reader] = [*writers, *readers]
    errors: Counter[str] = Counter()
    for worker in workers:
        errors.update(worker.errors)
    return ClientRecord(
        kind,
        tuple(WriterRecord(tuple(w.numbers), tuple(w.times)) for w in writers),
        reads=tuple(sorted(at for reader in readers for at in reader.times)),
        stale=tuple(stale for reader in readers for stale in reader.stale),
        failed_writes=sum(writer.failed for writer in writers),
        failed_reads=sum(reader.failed for reader in readers),
        longest_call=max(worker.longest_call for worker in workers),
        errors=dict(errors),
    )


def describe(error: Exception) -> str:
    """Name an error so that equal ones count together."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {text}"[:160]
