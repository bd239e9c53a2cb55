"""Which sentinel everybody asks first."""

import pytest

from redis_ha.connection import Address
from redis_ha.discovery import SentinelView
from redis_ha.failover_request import asking_order

SENTINELS = tuple(Address(f"10.0.{zone}.11", 26378 + zone) for zone in (1, 2, 3))


@pytest.mark.parametrize(
    ("host", "order"),
    [
        (None, (3, 2, 1)),
        ("10.0.9.9", (3, 2, 1)),
        # It may die with its host, in the middle of the failover.
        ("10.0.3.11", (2, 1, 3)),
        ("10.0.2.11", (3, 1, 2)),
    ],
)
def test_the_last_is_asked_first_and_the_one_beside_the_master_last(
    host: str | None, order: tuple[int, ...]
) -> None:
    master = None if host is None else Address(host, 6379)
    wanted = tuple(SENTINELS[zone - 1] for zone in order)
    assert asking_order(SENTINELS, master=master) == wanted
    views = tuple(map(SentinelView, SENTINELS))
    assert tuple(view.sentinel for view in asking_order(views, master=master)) == wanted


def test_on_one_host_the_order_is_the_usual() -> None:
    there = tuple(Address("127.0.0.1", port) for port in (1, 2, 3))
    assert asking_order(there, master=Address("127.0.0.1", 9)) == there[::-1]
