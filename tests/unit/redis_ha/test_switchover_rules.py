"""When a zero-loss switchover may begin, when a replica counts, and when it may be undone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView
from redis_ha.failover_request import Request, request_state
from redis_ha.switchover_rules import (
    Listed,
    Scene,
    behind,
    electable,
    is_lasting,
    obstacle,
    outlasting_pause,
    promoted,
    still_possible,
)

A, B, C = (Address("10.0.0.1", 1), Address("10.0.0.2", 2), Address("10.0.0.3", 3))
S = tuple(Address(f"10.0.1.{n}", n) for n in (1, 2, 3))
UP = frozenset({"slave"})
MASTER = NodeView(A, "master", 100)
REPLICA = NodeView(B, "slave", 100, master=A)
SENTINELS = tuple(SentinelView(s, A, 2, frozenset({"master"})) for s in S)
READY = Scene(SENTINELS, MASTER, (REPLICA, replace(REPLICA, address=C)))


def test_a_fenced_master_is_paused_for_seconds_and_another_beyond_its_demotion() -> None:
    assert outlasting_pause(replace(MASTER, fenced=True), 8.0) == 4.0
    assert outlasting_pause(MASTER, 8.0) == 38.0


def test_no_jump_of_the_clock_ends_the_pause_of_a_server_that_is_stopped() -> None:
    for master in (MASTER, replace(MASTER, fenced=True)):
        assert outlasting_pause(master, 8.0, ends=True) > 12 * 3600


def test_every_replica_that_sentinel_could_choose_counts() -> None:
    listed = [
        Listed(B, UP),
        Listed(B, UP | {"s_down"}),
        Listed(C, UP | {"disconnected"}),
        Listed(A, UP, priority=0),
    ]
    assert electable(listed) == [B]


def test_a_healthy_cluster_has_no_obstacle() -> None:
    assert obstacle(READY) == ""


OBSTACLES = {
    "no majority": replace(READY, sentinels=(SENTINELS[0], *(SentinelView(s) for s in S[1:]))),
    "failover runs": replace(
        READY,
        sentinels=(
            *SENTINELS[:2],
            replace(SENTINELS[2], flags=frozenset({"failover_in_progress"})),
        ),
    ),
    "the master is silent": replace(READY, master=NodeView(A, problem="timeout")),
    "the master is a replica": replace(READY, master=replace(MASTER, role="slave")),
    "somebody else shall give up": replace(READY, expected=B),
    "no candidate": replace(READY, candidates=()),
    "a candidate is silent": replace(READY, candidates=(REPLICA, NodeView(C, problem="timeout"))),
    "a candidate's link is down": replace(
        READY, candidates=(replace(REPLICA, link_down_seconds=2),)
    ),
    "a candidate syncs": replace(READY, candidates=(replace(REPLICA, syncing=True),)),
    "a candidate follows another": replace(READY, candidates=(replace(REPLICA, master=C),)),
    "a sentinel has old news of a candidate": replace(
        READY, listed=(Listed(B, UP), Listed(B, UP, role="master"))
    ),
    "a candidate is a master": replace(READY, candidates=(replace(REPLICA, role="master"),)),
}


@pytest.mark.parametrize("scene", OBSTACLES.values(), ids=OBSTACLES.keys())
def test_an_obstacle_is_named(scene: Scene) -> None:
    assert obstacle(scene)


def test_old_news_of_a_candidate_pass_and_those_of_others_do_not_matter() -> None:
    old = replace(READY, listed=(Listed(B, UP, role="master"), Listed(C, UP)))
    assert obstacle(old) == f"a sentinel still takes {B} for a master"
    assert not is_lasting(old)
    down = Listed(Address("10.0.0.9", 9), UP | {"s_down"}, role="master")
    assert obstacle(replace(READY, listed=(Listed(B, UP), down))) == ""


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_candidate_is_behind_exactly_until_it_reached_the_offset(own: int, target: int) -> None:
    late = behind([replace(REPLICA, offset=own)], master=A, offset=target)
    assert bool(late) is (own < target)


def test_writes_stay_paused_for_less_than_sentinel_takes_to_see_a_master_down() -> None:
    slow = tuple(replace(view, down_after=4.0) for view in SENTINELS)
    assert replace(READY, sentinels=slow).patience == 2.0


def test_a_promotion_is_what_the_node_itself_says() -> None:
    assert promoted([REPLICA]) is None
    new = replace(REPLICA, role="master")
    assert promoted([REPLICA, new]) is new


BUSY = replace(SENTINELS[0], flags=frozenset({"failover_in_progress"}))
GONE = SentinelView(S[0], problem="timeout")


@pytest.mark.parametrize(
    ("request_", "now", "state"),
    [
        (Request(S[0], "refused", 0.0), SENTINELS[0], "over"),
        (Request(S[0], "accepted", 0.1), SENTINELS[0], "open"),
        (Request(S[0], "accepted", 8.0), BUSY, "open"),
        (Request(S[0], "accepted", 2.0), SENTINELS[0], "over"),
        (Request(S[0], "accepted", 1.0), GONE, "open"),
        (Request(S[0], "accepted", 9.0), GONE, "over"),
        (Request(S[0], "vanished", 1.0), SENTINELS[0], "open"),
        (Request(S[0], "vanished", 9.0), SENTINELS[0], "over"),
    ],
)
def test_the_next_sentinel_is_asked_only_when_the_last_can_no_longer_deliver(
    request_: Request, now: SentinelView, state: str
) -> None:
    assert request_state(request_, now) == state


def test_writes_are_let_go_only_when_no_promotion_can_come() -> None:
    asked, refused = [Request(S[0], "accepted")], [Request(S[0], "refused")]
    silent = NodeView(B, problem="timeout")
    assert still_possible(asked, SENTINELS, [REPLICA]) == ""
    assert still_possible(asked, [BUSY, *SENTINELS[1:]], [REPLICA])
    assert still_possible(asked, [GONE, *SENTINELS[1:]], [REPLICA])
    assert still_possible(asked, SENTINELS, [silent])
    assert still_possible(refused, [GONE, *SENTINELS[1:]], [silent]) == ""
