"""A snapshot comes from a healthy replica, never from the master."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_worker.errors import ClusterUnreachable
from backup_worker.replication.source import choose_sources, settle
from redis_ha.connection import Address
from redis_ha.discovery import NodeView

MASTER = Address("10.0.0.1", 6379)
REPLICA = NodeView(Address("10.0.0.2", 6380), role="slave", offset=100, master=MASTER)
OTHER = replace(REPLICA, address=Address("10.0.0.3", 6381))


def test_the_replica_with_the_least_lag_comes_first() -> None:
    ahead = replace(OTHER, offset=200)
    assert choose_sources([REPLICA, ahead], master=MASTER) == [ahead, REPLICA]


def test_equal_replicas_come_in_the_order_of_their_addresses() -> None:
    assert choose_sources([OTHER, REPLICA], master=MASTER) == [REPLICA, OTHER]


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (replace(REPLICA, role=None, problem="connection refused"), "connection refused"),
        (replace(REPLICA, role="master"), "master"),
        (replace(REPLICA, address=MASTER), "master"),
        (replace(REPLICA, master=Address("10.0.0.9", 1)), r"follows 10\.0\.0\.9:1"),
        (replace(REPLICA, syncing=True), "syncing"),
        (replace(REPLICA, loading=True), "loading"),
        (replace(REPLICA, link_down_seconds=3), "link to the master is down"),
        (replace(REPLICA, link_down_seconds=-1), "link to the master is down"),
    ],
)
def test_one_that_cannot_serve_is_left_out_and_says_why(view: NodeView, reason: str) -> None:
    assert choose_sources([view, OTHER], master=MASTER) == [OTHER]
    with pytest.raises(ClusterUnreachable, match=reason):
        choose_sources([view], master=MASTER)


def test_without_any_replica_the_master_is_not_a_way_out() -> None:
    with pytest.raises(ClusterUnreachable, match="the sentinels know none"):
        choose_sources([], master=MASTER)


views = st.builds(
    NodeView,
    address=st.sampled_from([MASTER, REPLICA.address, OTHER.address]),
    role=st.sampled_from([None, "master", "slave"]),
    offset=st.integers(0, 5),
    master=st.sampled_from([None, MASTER, OTHER.address]),
    link_down_seconds=st.sampled_from([None, -1, 4]),
    syncing=st.booleans(),
    loading=st.booleans(),
)


@given(st.lists(views, max_size=5))
def test_the_master_is_never_chosen(seen: list[NodeView]) -> None:
    try:
        chosen = choose_sources(seen, master=MASTER)
    except ClusterUnreachable:
        return
    assert MASTER not in chosen


LEADER = NodeView(MASTER, role="master", offset=100)
PROMOTED = replace(LEADER, address=OTHER.address)
DEMOTED = replace(REPLICA, address=MASTER, master=PROMOTED.address)


def test_an_old_master_tells_of_the_new_one_before_the_sentinels_do() -> None:
    assert settle([DEMOTED, REPLICA, PROMOTED]) == (PROMOTED, [DEMOTED, REPLICA])


GONE = replace(LEADER, role=None, problem="connection refused")
FOLLOWER = replace(REPLICA, master=PROMOTED.address)


def test_a_replica_tells_of_the_new_master_where_the_old_one_is_gone() -> None:
    assert settle([GONE, FOLLOWER, PROMOTED]) == (PROMOTED, [GONE, FOLLOWER])


@pytest.mark.parametrize(
    "views",
    [
        [LEADER, REPLICA, OTHER],
        [LEADER, REPLICA, PROMOTED],
        [DEMOTED, REPLICA, OTHER],
        [replace(DEMOTED, master=Address("10.0.0.9", 1)), REPLICA, PROMOTED],
        [GONE, REPLICA, PROMOTED],
        [GONE, replace(FOLLOWER, link_down_seconds=1), PROMOTED],
        [LEADER, FOLLOWER, PROMOTED],
    ],
)
def test_without_that_the_sentinels_word_stands(views: list[NodeView]) -> None:
    assert settle(views) == (views[0], views[1:])
