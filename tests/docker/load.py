"""A steady load by our own client on a stack: writers that are processes, their ledgers on disk.

As `tests.processes.worker.steady`, whose ledger and keys these are, but each batch is a call of
`redis_ha.Client`, and what it raises is kept: an application would have seen it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis_ha.client import Client
from redis_ha.discovery import Access
from redis_ha.errors import RedisHaError
from tests.processes.worker.steady import RECORD, Plan, Steady, missing_in

if TYPE_CHECKING:
    import redis

BATCH = 25


@contextmanager
def load(
    access: Access, directory: Path, *, rate: float, writers: int = 2
) -> Iterator["ClientLoad"]:
    """Write `rate` a second in all from now to the end of the block."""
    directory.mkdir()
    plans = [
        Plan(access, (), number, directory / f"{number}", rate / writers, batch=BATCH)
        for number in range(writers)
    ]
    with ClientLoad.of(plans, write) as run:
        yield run


class ClientLoad(Steady):
    """The writers of a test, to be asked once they have stopped."""

    @property
    def errors(self) -> list[str]:
        """What calls raised."""
        return [line for plan in self.plans for line in _lines(_errors(plan))]

    @property
    def longest_gap(self) -> float:
        """The longest time (s) from one writer's acknowledgement to its next."""
        times = ([b.time_ms for b in self.batches if b.writer == p.number] for p in self.plans)
        return max(later - one for each in times for one, later in pairwise(each)) / 1000

    @property
    def rate(self) -> float:
        """Acknowledged writes a second, from the first to the last."""
        times = [batch.time_ms for batch in self.batches]
        return self.acknowledged / ((max(times) - min(times)) / 1000)

    def lost(self, master: "redis.Redis") -> int:
        """Count the acknowledged writes that a server lacks."""
        return sum(batch.last - batch.first + 1 for batch in missing_in(master, self.batches))


def write(plan: Plan) -> None:
    """Write for ever, at the plan's pace."""
    number, began, sent = 0, time.monotonic(), 0
    with plan.ledger.open("ab", buffering=0) as ledger, Client(plan.access) as client:
        while True:
            first, number = number + 1, number + plan.batch
            try:
                client.execute_with_failover(
                    lambda c, first=first, last=number: _set(c, plan, first, last), idempotent=True
                )
                ledger.write(RECORD.pack(first, number, time.time_ns() // 1_000_000))
            except RedisHaError as error:
                _note(plan, error)
            sent += plan.batch
            ahead = began + sent / plan.rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            elif ahead < -1:
                began, sent = time.monotonic(), 0  # what could not be written is not made up for


def _set(client: Any, plan: Plan, first: int, last: int) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(first, last + 1):
        pipeline.set(f"steady:{plan.number}:{number}", number)
    pipeline.execute()


def _note(plan: Plan, error: Exception) -> None:
    with _errors(plan).open("a") as file:
        file.write(f"{type(error).__name__}: {error}\n")


def _errors(plan: Plan) -> Path:
    return plan.ledger.with_suffix(".errors")


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
