"""The ledger: what is lost, what is stale."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from redis_ha.failover_test.ledger import Writer, close_books, find_lost, staleness
from redis_ha.failover_test.records import ClientRecord, WriterRecord


@pytest.mark.parametrize(
    ("value", "behind"),
    [(0, 5.0), (1, 4.0), (3, 3.0), (4, 2.0), (7, None), (9, None)],
)
def test_a_read_is_as_stale_as_the_first_write_that_it_misses(
    value: int, behind: float | None
) -> None:
    numbers, times = (1, 3, 4, 7), (5.0, 6.0, 7.0, 8.0)
    assert staleness(value, numbers, times, began=10.0) == behind


def test_before_the_first_write_nothing_is_stale() -> None:
    assert staleness(0, (), (), began=1.0) is None


def test_what_the_master_does_not_hold_is_lost() -> None:
    client = ClientRecord("any", (WriterRecord((1, 2, 4), (0.1, 0.2, 0.4)),))
    (lost,) = find_lost([client], {("any", 0): {"1", "4", "last"}})
    assert (lost.number, lost.at) == (2, 0.2)


class Flaky:
    """A client whose every third write fails, after it was applied or not."""

    def __init__(self) -> None:
        self.asked = 0

    def write(self, command: Callable[[Any], Any]) -> None:
        self.asked += 1
        if self.asked % 3 == 0:
            raise ConnectionError("gone")

    def read(self, command: Callable[[Any], Any]) -> Any:
        return None


def test_only_acknowledged_numbers_are_in_the_books() -> None:
    writer, stop = Writer(Flaky(), "key", 0.0), threading.Event()
    thread = threading.Thread(target=writer.run, args=(stop,))
    thread.start()
    deadline = time.monotonic() + 5
    while writer.failed < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    thread.join(5)
    record = close_books("any", [writer], [])
    assert record.writers[0].numbers[:6] == (1, 2, 4, 5, 7, 8)
    assert record.errors == {"ConnectionError: gone": record.failed_writes}
    assert all(number % 3 for number in record.writers[0].numbers)
