"""Choosing the replica by priority, and how an interrupted switchover ends."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView
from redis_ha.switchover_rules import (
    Healing,
    Listed,
    Scene,
    heal,
    is_first,
    obstacle,
    preferred_priority,
)

A, B, C = (Address("10.0.0.1", 1), Address("10.0.0.2", 2), Address("10.0.0.3", 3))
S = tuple(Address(f"10.0.1.{n}", n) for n in (1, 2, 3))
UP = frozenset({"slave"})
MASTER = NodeView(A, "master", 100)
REPLICA = NodeView(B, "slave", 100, master=A)
OTHER = replace(REPLICA, address=C)
NEW = NodeView(B, "master", 100)
SENTINELS = tuple(SentinelView(s, A, 2, frozenset({"master"})) for s in S)
SWITCHED = (SENTINELS[0], replace(SENTINELS[1], master=B), SENTINELS[2])
BUSY = (
    replace(SENTINELS[0], flags=frozenset({"master", "failover_in_progress"})),
    *SENTINELS[1:],
)


@given(st.integers(0, 200), st.lists(st.integers(0, 200), max_size=4))
def test_the_priority_that_is_set_makes_it_first_and_never_unelectable(
    own: int, others: list[int]
) -> None:
    chosen = preferred_priority(own, others)
    rivals = [priority for priority in others if priority]
    if chosen is None:
        assert own == 0 or min(rivals) <= 1
    else:
        assert chosen > 0
        assert all(chosen < rival for rival in rivals)
        assert chosen <= own


def test_what_is_first_already_stays_as_it_is() -> None:
    assert preferred_priority(5, [100, 100]) == 5
    assert preferred_priority(100, []) == 100
    assert preferred_priority(100, [100, 0]) == 99


def test_first_is_who_every_sentinel_would_promote() -> None:
    assert is_first(B, [Listed(B, UP, 99), Listed(C, UP, 100)])
    assert is_first(B, [Listed(B, UP, 99), Listed(C, UP, 0)])
    assert not is_first(B, [Listed(B, UP, 100), Listed(C, UP, 100)])
    # One sentinel has not yet learned it.
    assert not is_first(B, [Listed(B, UP, 99), Listed(B, UP, 100), Listed(C, UP, 100)])
    assert not is_first(B, [Listed(B, UP | {"s_down"}, 99), Listed(C, UP, 100)])
    assert not is_first(B, [Listed(C, UP, 100)])


def test_another_than_the_chosen_one_is_an_obstacle() -> None:
    listed = (Listed(B, UP, 99), Listed(C, UP, 100))
    scene = Scene(SENTINELS, MASTER, (REPLICA, OTHER), chosen=B, listed=listed)
    assert obstacle(scene) == ""
    assert str(C) in obstacle(replace(scene, chosen=C))


WAIT, RELEASE, DEMOTE = Healing("wait"), Healing("release"), Healing("demote", B)
GONE = (SentinelView(S[0], problem="timeout"), *SENTINELS[1:])


@pytest.mark.parametrize(
    ("old", "others", "sentinels", "quiet", "healing"),
    [
        # Killed before a failover was asked for: writes go on, after a request in flight.
        (MASTER, (REPLICA, OTHER), SENTINELS, 0.5, WAIT),
        (MASTER, (REPLICA, OTHER), SENTINELS, 1.0, RELEASE),
        # Asked for, and under way.
        (MASTER, (REPLICA, OTHER), BUSY, 9.0, WAIT),
        (MASTER, (NEW, OTHER), BUSY, 0.0, WAIT),
        # Promoted, and a sentinel says so.
        (MASTER, (NEW, OTHER), SWITCHED, 0.0, DEMOTE),
        (replace(MASTER, role="slave"), (NEW, OTHER), SWITCHED, 0.0, RELEASE),
        # Nobody knows: whoever doesn't answer may have promoted or been promoted.
        (MASTER, (REPLICA, OTHER), GONE, 2.0, WAIT),
        (MASTER, (REPLICA, OTHER), GONE, 3.0, RELEASE),
        (MASTER, (REPLICA, NodeView(C, problem="timeout")), SENTINELS, 2.0, WAIT),
        # A stray master that no sentinel names is none of this.
        (MASTER, (NEW, OTHER), SENTINELS, 3.0, RELEASE),
        (NodeView(A, problem="timeout"), (REPLICA, OTHER), SENTINELS, 99.0, WAIT),
    ],
)
def test_an_interrupted_switchover_ends_as_far_as_it_had_come(
    old: NodeView,
    others: tuple[NodeView, ...],
    sentinels: tuple[SentinelView, ...],
    quiet: float,
    healing: Healing,
) -> None:
    assert heal(old, others, sentinels, quiet=quiet) == healing
