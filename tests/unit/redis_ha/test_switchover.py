"""A switchover among the silent: it goes on without them, or is refused in order."""

from dataclasses import replace
from pathlib import Path

import pytest
import redis

from redis_ha import switchover
from redis_ha.connection import Address, Credentials
from redis_ha.discovery import Access, NodeView, SentinelView
from redis_ha.errors import SwitchoverRefused
from redis_ha.switchover import OldMaster, switch_over
from redis_ha.switchover_rules import Listed

MASTER, REPLICA = Address("10.0.0.1", 6379), Address("10.0.0.2", 6379)
SENTINELS = tuple(Address(f"10.0.0.{n}", 26379) for n in (1, 2, 3))
ACCESS = Access(SENTINELS, "mymaster", Credentials("node", "secret"), Path("ca.crt"))
VIEWS = {
    MASTER: NodeView(MASTER, "master"),
    REPLICA: NodeView(REPLICA, "slave", master=MASTER),
}


class SilentClaim:
    """A claim whose connection times out at the first pause, as on a server that forks."""

    def __init__(self) -> None:
        self.released = self.closed = False

    def pause(self, _seconds: float) -> None:
        raise redis.TimeoutError("Timeout reading from socket")

    def release(self) -> None:
        self.released = True

    def close(self) -> None:
        self.closed = True


def test_a_master_that_stops_answering_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = SilentClaim()
    monkeypatch.setattr(switchover, "claim", lambda *_: claim)
    monkeypatch.setattr(
        switchover, "ask_sentinels", lambda _: [SentinelView(s, MASTER) for s in SENTINELS]
    )
    monkeypatch.setattr(switchover, "ask_node", lambda _, address: VIEWS[address])
    monkeypatch.setattr(switchover, "ask_nodes", lambda _, those: [VIEWS[a] for a in those])
    monkeypatch.setattr(switchover, "listed_replicas", lambda _: (Listed(REPLICA, frozenset()),))
    with pytest.raises(SwitchoverRefused, match=r"10\.0\.0\.1:6379 stopped answering: Timeout"):
        switch_over(ACCESS, old_master=OldMaster.LEAVE, expected=MASTER)
    assert claim.released
    assert claim.closed


class ReadyClaim:
    """A claim that does what it is told, and notes it."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def pause(self, _seconds: float) -> None:
        self.said.append("pause")

    def hold(self, _seconds: float) -> None:
        pass

    def command(self, *words: object) -> None:
        pass

    def release(self) -> None:
        pass

    def close(self) -> None:
        pass


class World:
    """A cluster whose third sentinel hangs; the one asked for a failover promotes."""

    def __init__(self, *, silent: int = 1) -> None:
        self.silent = SENTINELS[len(SENTINELS) - silent :]
        self.said: list[str] = []
        self.asked: list[Address] = []
        self.lookups: list[tuple[Address, ...]] = []

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(switchover, "claim", lambda *_: ReadyClaim(self.said))
        monkeypatch.setattr(switchover, "ask_sentinels", self.sentinels)
        monkeypatch.setattr(switchover, "ask_sentinel", lambda _, one: self.sentinel(one))
        monkeypatch.setattr(switchover, "ask_node", lambda _, address: VIEWS[address])
        monkeypatch.setattr(switchover, "ask_nodes", self.nodes)
        monkeypatch.setattr(switchover, "listed_replicas", self.listed)
        monkeypatch.setattr(switchover, "ask_for_failover", self.ask)

    def sentinel(self, one: Address) -> SentinelView:
        return SentinelView(one, problem="Timeout") if one in self.silent else view_of(one)

    def sentinels(self, access: Access) -> list[SentinelView]:
        return [self.sentinel(one) for one in access.sentinels]

    def nodes(self, _access: Access, those: list[Address]) -> list[NodeView]:
        role = "master" if self.asked else "slave"
        return [replace(VIEWS[a], role=role) for a in those]

    def listed(self, access: Access) -> tuple[Listed, ...]:
        self.lookups.append(access.sentinels)
        return (Listed(REPLICA, frozenset()),)

    def ask(self, _access: Access, one: Address) -> tuple[str, str]:
        self.asked.append(one)
        return "accepted", ""


def view_of(sentinel: Address) -> SentinelView:
    return SentinelView(sentinel, MASTER, flags=frozenset({"master", "failover_in_progress"}))


def test_silent_sentinels_are_asked_for_nothing_after_the_first_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.install(monkeypatch)
    monkeypatch.setattr(switchover, "obstacle", lambda _: "")
    done = switch_over(
        ACCESS,
        old_master=OldMaster.LEAVE,
        begin=lambda: world.said.append("begin"),
    )
    assert done.new == REPLICA
    # The first is beside the master, so the second comes before it; the third hangs.
    assert world.asked == [SENTINELS[1]]
    assert all(world.silent[0] not in sentinels for sentinels in world.lookups)
    assert world.said == ["begin", "pause"]


def test_a_majority_of_all_that_are_configured_must_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(silent=2)
    world.install(monkeypatch)
    with pytest.raises(SwitchoverRefused, match="no majority"):
        switch_over(
            ACCESS,
            deadline_seconds=0.0,
            old_master=OldMaster.LEAVE,
            begin=lambda: world.said.append("begin"),
        )
    assert world.said == []
