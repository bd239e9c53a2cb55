"""A switchover whose master falls silent in the middle: refused in order, nothing left paused."""

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
