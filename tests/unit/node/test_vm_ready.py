"""When the next machine of a rolling change may be touched."""

import pytest

from node.vm.ready import Machine, judge, unlisted
from redis_ha.connection import Address
from redis_ha.discovery import NodeView

WELL = {"data": "ok master, 2 replicas", "sentinel": "ok sentinel"}
WAITING = {"data": "waiting: no majority", "sentinel": "ok sentinel"}
DEAF = {"data": "ok master, 2 replicas", "sentinel": "the sentinel doesn't answer"}


@pytest.mark.parametrize(
    ("health", "fresh", "answering", "ready"),
    [
        (WELL, False, 3, True),
        (WELL, True, 1, True),
        # The first machine of a new cluster: it can't be well before the second is there.
        (WAITING, True, 1, True),
        # The second of three: with it a majority is there, so it must become well.
        (WAITING, True, 2, False),
        # A machine with a lost volume in a living cluster has to catch up first.
        (WAITING, True, 3, False),
        # A cluster that lost its majority isn't a new one.
        (WAITING, False, 1, False),
        (DEAF, False, 3, False),
    ],
)
def test_verdict(health: dict[str, str], fresh: bool, answering: int, ready: bool) -> None:
    verdict = judge(Machine(health, fresh_volume=fresh, sentinels=3, answering=answering))
    assert verdict.ready is ready
    assert verdict.reason


MASTER, NEAR, FAR = (Address(f"10.72.{n}.11", 6379) for n in range(3))
SENTINELS = [Address(f"10.72.{n}.11", 26379) for n in range(2)]


def test_a_healthy_machine_waits_until_the_sentinels_list_it() -> None:
    listed = Machine(WELL, fresh_volume=True, sentinels=3, answering=3, unlisted=["not yet"])
    assert not judge(listed).ready
    assert "not yet" in judge(listed).reason


def test_every_sentinel_must_be_able_to_promote_every_replica_in_sync() -> None:
    nodes = [
        NodeView(MASTER, role="master"),
        NodeView(NEAR, role="slave", master=MASTER),
        NodeView(FAR, role="slave", master=MASTER, syncing=True, link_down_seconds=3),
    ]
    first, second = SENTINELS
    assert unlisted(nodes, {first: frozenset({NEAR}), second: frozenset({NEAR, FAR})}) == []
    (missing,) = unlisted(nodes, {first: frozenset(), second: frozenset({NEAR})})
    assert str(first) in missing
    assert str(NEAR) in missing
    assert unlisted([NodeView(MASTER, problem="no answer")], {first: frozenset()}) == []
