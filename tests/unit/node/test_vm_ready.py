"""When the next machine of a rolling change may be touched."""

import socket

import pytest

from node.vm.ready import ALONE_SECONDS, Company, Machine, judge, takes_connections, unlisted
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


@pytest.mark.parametrize(
    ("health", "alone", "ready"),
    [
        # All machines were destroyed, their volumes kept: this one is the first of the new ones.
        (WAITING, ALONE_SECONDS, True),
        # Others may yet answer: they restart, or fail over.
        (WAITING, ALONE_SECONDS - 1, False),
        (WAITING, 0.0, False),
        # Without its sentinel the next machine couldn't make a majority with it either.
        ({**WAITING, "sentinel": "the sentinel doesn't answer"}, ALONE_SECONDS, False),
    ],
)
def test_a_machine_with_old_data_goes_on_when_it_is_alone(
    health: dict[str, str], *, alone: float, ready: bool
) -> None:
    machine = Machine(health, fresh_volume=False, sentinels=3, answering=1, alone_seconds=alone)
    assert judge(machine).ready is ready


def test_a_machine_is_alone_from_when_it_last_heard_of_another() -> None:
    now = 100.0
    company = Company(lambda: now)
    assert company.alone(answering=False) == 0
    now = 159.0
    assert company.alone(answering=False) == 59
    assert company.alone(answering=True) == 0
    now = 200.0
    assert company.alone(answering=False) == 41


def test_who_listens_is_there_whatever_it_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(*listener.getsockname())
        assert takes_connections(address)
    assert not takes_connections(address)
