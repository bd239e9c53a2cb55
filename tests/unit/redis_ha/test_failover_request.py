"""Which sentinel everybody asks first, and what its answer comes to."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import redis

from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, SentinelView
from redis_ha.failover_request import ask_for_failover, asking_order

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
    nodes = tuple(Address(sentinel.host, 6379) for sentinel in SENTINELS)
    assert asking_order(SENTINELS, master=master, data_nodes=nodes) == wanted
    views = tuple(map(SentinelView, SENTINELS))
    asked = asking_order(views, master=master, data_nodes=nodes)
    assert tuple(view.sentinel for view in asked) == wanted


@pytest.mark.parametrize(
    ("number", "order"), [(1, (3, 2, 1)), (2, (3, 1, 2)), (3, (2, 1, 3)), (4, (3, 2, 1))]
)
def test_where_each_has_a_host_of_its_own_equal_numbers_are_neighbours(
    number: int, order: tuple[int, ...]
) -> None:
    nodes = tuple(Address(f"10.0.0.{one}", 6379) for one in (1, 2, 3, 4))
    wanted = tuple(SENTINELS[zone - 1] for zone in order)
    assert asking_order(SENTINELS, master=nodes[number - 1], data_nodes=nodes) == wanted


def test_on_one_host_the_order_is_the_usual() -> None:
    there = tuple(Address("127.0.0.1", port) for port in (1, 2, 3))
    nodes = tuple(Address("127.0.0.1", port) for port in (7, 8, 9))
    assert asking_order(there, master=nodes[2], data_nodes=nodes) == there[::-1]
    assert asking_order(there, master=None, data_nodes=()) == there[::-1]


def test_the_one_on_the_masters_host_is_known_without_the_data_nodes() -> None:
    asked = asking_order(SENTINELS, master=Address(SENTINELS[2].host, 6379), data_nodes=())
    assert asked == (SENTINELS[1], SENTINELS[0], SENTINELS[2])


class Sentinel:
    """A connection to a sentinel that says `tilt` and `answer`; both may be an error."""

    def __init__(self, tilt: object, answer: object = "OK") -> None:
        self.tilt, self.answer, self.asked = tilt, answer, False

    def ping(self) -> bool:
        return True

    def info(self, _section: str) -> Any:
        return _said(self.tilt)

    def execute_command(self, *_words: str) -> Any:
        self.asked = True
        return _said(self.answer)


def _said(answer: object) -> object:
    if isinstance(answer, Exception):
        raise answer
    return answer


CALM = {"sentinel_tilt": 0}


@pytest.mark.parametrize(
    ("sentinel", "asked", "answer", "text"),
    [
        (Sentinel(CALM), True, "accepted", ""),
        (Sentinel({}), True, "accepted", ""),
        (Sentinel(redis.exceptions.NoPermissionError("NOPERM")), True, "accepted", ""),
        (Sentinel({"sentinel_tilt": 1}), False, "refused", "it is in TILT mode"),
        (Sentinel("OK"), False, "refused", "unreachable: it does not answer as a node would"),
        (Sentinel(redis.TimeoutError("slow")), False, "refused", "unreachable: slow"),
        (Sentinel(CALM, redis.ResponseError("NOGOODSLAVE")), True, "refused", "NOGOODSLAVE"),
        (Sentinel(CALM, redis.ConnectionError("gone")), True, "vanished", "gone"),
        # It was sent, whatever came back.
        (Sentinel(CALM, ValueError("x")), True, "vanished", "it does not answer as a node would"),
    ],
)
def test_one_that_would_do_nothing_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, sentinel: Sentinel, asked: bool, answer: str, text: str
) -> None:
    monkeypatch.setattr(Access, "connect", lambda *_: nullcontext(sentinel))
    access = Access(SENTINELS, "mymaster", Credentials("node", "secret"), Path("ca.crt"))
    assert ask_for_failover(access, SENTINELS[0]) == (answer, text)
    assert sentinel.asked is asked
