"""Reads go on while replicas are lost, and one that was taken away is forgotten."""

import time
from types import SimpleNamespace
from typing import Any

from redis_ha.client import reading
from redis_ha.client.mastership import Known
from redis_ha.client.reading import Readers
from redis_ha.client.scout import Report
from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView

MASTER, *REPLICAS = (Address(f"10.0.0.{number}", 6379) for number in range(1, 10))
SENTINEL = Address("10.0.1.1", 26379)
# So long (s) that six of them at once and one after the other are far apart on any machine.
SILENCE = 1.0


class World:
    """Answers as a scout; the first two replicas follow, the others keep silent."""

    def __init__(self, _access: object = None) -> None:
        self.asked: list[Address] = []

    def ask_node(self, address: Address) -> Report:
        self.asked.append(address)
        if address == MASTER:
            return Report(NodeView(address, "master", 100, "id"))
        if address in REPLICAS[:2]:
            return Report(NodeView(address, "slave", 100, "id", master=MASTER))
        time.sleep(SILENCE)
        return Report(NodeView(address, problem="silent"))

    def ask_sentinel(self, sentinel: Address) -> Report:
        return Report(SentinelView(sentinel, MASTER), tuple(REPLICAS[:2]))

    def close(self, _: Address) -> None: ...


def refreshed(monkeypatch: Any, sentinels: tuple[Address, ...]) -> tuple[World, float]:
    """Let readers who know of all nodes look once; return how long (s) it took too."""
    world = World()
    monkeypatch.setattr(reading, "Scout", lambda _: world)
    locator: Any = SimpleNamespace(
        access=SimpleNamespace(sentinels=sentinels),
        known=Known(MASTER, "id"),
        nodes=frozenset((MASTER, *REPLICAS)),
    )
    readers, began = Readers(locator, 5.0), time.monotonic()
    refresh = readers.look()
    assert refresh is not None
    refresh.result(10.0)
    assert {readers.next(), readers.next()} == set(REPLICAS[:2])
    return world, time.monotonic() - began


def test_the_lost_are_waited_for_all_at_once(monkeypatch: Any) -> None:
    world, seconds = refreshed(monkeypatch, ())
    assert set(world.asked) == {MASTER, *REPLICAS}
    assert seconds < 3 * SILENCE


def test_who_was_taken_away_is_asked_no_more(monkeypatch: Any) -> None:
    world, _ = refreshed(monkeypatch, (SENTINEL,))
    assert set(world.asked) == {MASTER, *REPLICAS[:2]}
