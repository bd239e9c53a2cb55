"""Who counts as promoted by a forced failover, whatever the sentinels know."""

from pathlib import Path

import pytest

from redis_ha import forced_failover
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, NodeView, SentinelView
from redis_ha.errors import SwitchoverRefused
from redis_ha.forced_failover import Forced, force_failover

NODES = [Address("10.0.0.1", port) for port in (6379, 6380, 6381)]
SENTINELS = tuple(Address("10.0.0.1", port) for port in (26379, 26380, 26381))
ACCESS = Access(SENTINELS, "mymaster", Credentials("operator", "secret"), Path("ca.crt"))
BUSY = frozenset({"master", "failover_in_progress"})


class World:
    """Nodes of which the second is promoted at the third look; `naming` sentinels answer."""

    def __init__(self, *masters: Address, naming: int) -> None:
        self.masters, self.naming, self.looks = set(masters), naming, 0

    def nodes(self, _access: Access, addresses: list[Address]) -> list[NodeView]:
        self.looks += 1
        masters = self.masters | ({NODES[1]} if self.looks > 2 else set())
        return [NodeView(a, "master" if a in masters else "slave") for a in addresses]

    def sentinels(self, _access: Access) -> list[SentinelView]:
        return [
            SentinelView(s, NODES[0]) if n < self.naming else SentinelView(s, problem="refused")
            for n, s in enumerate(SENTINELS)
        ]


@pytest.mark.parametrize(
    ("world", "old"),
    [
        (World(NODES[0], naming=3), NODES[0]),
        (World(NODES[0], naming=1), NODES[0]),
        (World(NODES[0], NODES[2], naming=3), NODES[0]),
        (World(NODES[0], NODES[2], naming=1), None),
        (World(naming=1), None),
    ],
    ids=["all agree", "no majority", "a second master", "both", "nobody is master"],
)
def test_only_who_becomes_master_is_promoted(
    monkeypatch: pytest.MonkeyPatch, world: World, old: Address | None
) -> None:
    monkeypatch.setattr(forced_failover, "ask_nodes", world.nodes)
    monkeypatch.setattr(forced_failover, "ask_sentinels", world.sentinels)
    monkeypatch.setattr(forced_failover, "ask_for_failover", lambda *_: ("accepted", ""))
    monkeypatch.setattr(
        forced_failover, "ask_sentinel", lambda _, s: SentinelView(s, NODES[0], flags=BUSY)
    )
    done = force_failover(ACCESS, NODES, clock=lambda: 0.0, sleep=lambda _: None)
    assert done == Forced(old, NODES[1], 0.0)
    assert world.looks == 3


@pytest.mark.parametrize(
    ("naming", "expected"), [(3, NODES[0]), (3, None), (1, NODES[2]), (3, NODES[2])]
)
def test_who_was_promoted_since_it_was_decided_on_stays(
    monkeypatch: pytest.MonkeyPatch, naming: int, expected: Address | None
) -> None:
    world, asked = World(NODES[0], naming=naming), []
    monkeypatch.setattr(forced_failover, "ask_nodes", world.nodes)
    monkeypatch.setattr(forced_failover, "ask_sentinels", world.sentinels)
    monkeypatch.setattr(
        forced_failover, "ask_for_failover", lambda _, s: (asked.append(s), ("accepted", ""))[1]
    )
    monkeypatch.setattr(
        forced_failover, "ask_sentinel", lambda _, s: SentinelView(s, NODES[0], flags=BUSY)
    )

    def force() -> Forced:
        return force_failover(
            ACCESS, NODES, expected=expected, clock=lambda: 0.0, sleep=lambda _: None
        )

    if (naming, expected) == (3, NODES[2]):
        with pytest.raises(SwitchoverRefused, match=f"name {NODES[0]} by now, not {NODES[2]}"):
            force()
        assert asked == []
    else:
        assert force().new == NODES[1]


def test_a_promotion_that_a_silent_node_hides_for_a_while_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All answers wait for the slowest: the failover is over by the time the first one is read."""
    now, asked = 0.0, []

    def nodes(_access: Access, addresses: list[Address]) -> list[NodeView]:
        nonlocal now
        began, now = now, now + 2.0
        masters = {NODES[0]} | ({NODES[1]} if asked and began > 0.15 + 2.0 else set())
        return [NodeView(a, "master" if a in masters else "slave") for a in addresses]

    def sentinel(_access: Access, one: Address) -> SentinelView:
        return SentinelView(one, NODES[0], flags=BUSY if now < 3.2 else frozenset())

    def ask(_access: Access, one: Address) -> tuple[str, str]:
        asked.append(one)
        return "accepted", ""

    world = World(NODES[0], naming=3)
    monkeypatch.setattr(forced_failover, "ask_nodes", nodes)
    monkeypatch.setattr(forced_failover, "ask_sentinels", world.sentinels)
    monkeypatch.setattr(forced_failover, "ask_for_failover", ask)
    monkeypatch.setattr(forced_failover, "ask_sentinel", sentinel)
    done = force_failover(ACCESS, NODES, clock=lambda: now, sleep=lambda _: None)
    assert done.new == NODES[1]
    assert len(asked) == 1
