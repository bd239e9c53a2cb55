"""As what may a data node start: every case of the boot guard, decided on made-up views."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.disk import Disk, Marker
from node.guard import Action, Decision, Situation, decide
from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView
from redis_ha.failover_request import Request

ME, B, C = (
    Address("172.28.0.11", 6379),
    Address("172.28.0.12", 6380),
    Address("172.28.0.13", 6381),
)
SENTINELS = tuple(Address(f"172.28.0.2{n}", 26378 + n) for n in (1, 2, 3))
EMPTY = Disk(holds_data=False)
CRASHED = Disk(True, Marker("then", replid="mine", role="master"))
CLEAN = Disk(True, Marker("then", clean_stop=True, offset=1000, replid="mine", role="master"))

FOLLOWER = NodeView(B, "slave", 1000, "mine", master=ME, link_down_seconds=3, keys=5)
RESTARTED = NodeView(B, "slave", 0, "other", master=ME, link_down_seconds=-1, keys=5)
ABSENT = NodeView(C, problem="refused")
OTHER_MASTER = NodeView(B, "master", 5000, "new", "mine", keys=5)


def say(
    master: Address | None, *, replicas: int = 2, flags: str = "master"
) -> tuple[SentinelView, ...]:
    if master is None:
        return tuple(SentinelView(s, problem="refused") for s in SENTINELS)
    words = frozenset(flags.split(","))
    return tuple(SentinelView(s, master, replicas, words) for s in SENTINELS)


def situation(disk: Disk, *peers: NodeView, **changes: object) -> Situation:
    base = Situation(ME, True, disk, say(ME), peers or (ABSENT,))
    return replace(base, **changes)  # type: ignore[arg-type]


CASES = {
    # (a) another node is master
    "another is master": (
        situation(CRASHED, OTHER_MASTER, sentinels=say(B)),
        Action.START_AS_REPLICA,
    ),
    "another is master and silent": (
        situation(CRASHED, NodeView(B, problem="refused"), sentinels=say(B)),
        Action.START_AS_REPLICA,
    ),
    "another is master and I am empty": (
        situation(EMPTY, NodeView(B, "master", replid="x"), sentinels=say(B)),
        Action.START_AS_REPLICA,
    ),
    "the master is an empty stranger": (
        situation(CRASHED, NodeView(B, "master", replid="x"), sentinels=say(B)),
        Action.WAIT,
    ),
    "the master is a stranger with data": (
        situation(CRASHED, NodeView(B, "master", replid="x", keys=1), sentinels=say(B)),
        Action.START_AS_REPLICA,
    ),
    "the master is empty with my history": (
        situation(CRASHED, NodeView(B, "master", replid="x", replid2="mine"), sentinels=say(B)),
        Action.START_AS_REPLICA,
    ),
    "the master and I are both empty": (
        situation(
            Disk(True, Marker("then", replid="mine", has_keys=False)),
            NodeView(B, "master", replid="x"),
            sentinels=say(B),
        ),
        Action.START_AS_REPLICA,
    ),
    # (b) first boot
    "first boot": (situation(EMPTY, sentinels=say(ME, replicas=0)), Action.START_AS_MASTER),
    "first boot, empty replica waiting": (
        situation(EMPTY, replace(RESTARTED, keys=0), sentinels=say(ME, replicas=0)),
        Action.START_AS_MASTER,
    ),
    "empty, not the first master": (
        situation(EMPTY, sentinels=say(ME, replicas=0), initial_master=False),
        Action.WAIT,
    ),
    "sentinels forgot the replicas, one holds data": (
        situation(EMPTY, RESTARTED, sentinels=say(ME, replicas=0)),
        Action.WAIT,
    ),
    # (c) an empty disk never becomes master
    "disk lost, replica promotable": (situation(EMPTY, FOLLOWER), Action.ASK_FOR_FAILOVER),
    "disk lost, no replica answers": (situation(EMPTY, ABSENT), Action.WAIT),
    "disk lost, long ago": (situation(EMPTY, ABSENT, waited=9999.0), Action.WAIT),
    # (d) a replica can take over
    "crashed": (situation(CRASHED, FOLLOWER), Action.ASK_FOR_FAILOVER),
    "torn marker": (situation(Disk(True, None), FOLLOWER), Action.ASK_FOR_FAILOVER),
    "crashed, Sentinel at it": (
        situation(CRASHED, FOLLOWER, sentinels=say(ME, flags="master,s_down,o_down")),
        Action.WAIT,
    ),
    "crashed, Sentinel does not get on with it": (
        situation(CRASHED, FOLLOWER, sentinels=say(ME, flags="master,o_down"), waited=11.0),
        Action.ASK_FOR_FAILOVER,
    ),
    "crashed, failover running": (
        situation(CRASHED, FOLLOWER, sentinels=say(ME, flags="master,failover_in_progress")),
        Action.WAIT,
    ),
    "crashed, already asked": (
        situation(CRASHED, FOLLOWER, request=Request(SENTINELS[0], "accepted", 3.0)),
        Action.WAIT,
    ),
    "crashed, asked in vain": (
        situation(CRASHED, FOLLOWER, request=Request(SENTINELS[0], "accepted", 11.0)),
        Action.ASK_FOR_FAILOVER,
    ),
    "crashed, Sentinel finds no good replica": (
        situation(
            CRASHED,
            FOLLOWER,
            request=Request(SENTINELS[0], "refused", 1.0, "NOGOODSLAVE No suitable replica"),
            refusals=2,
        ),
        Action.START_AS_MASTER,
    ),
    "crashed, a sentinel that was just started finds no good replica": (
        situation(
            CRASHED,
            FOLLOWER,
            request=Request(SENTINELS[0], "refused", 1.0, "NOGOODSLAVE"),
            refusals=1,
        ),
        Action.WAIT,
    ),
    "crashed, that sentinel had time to look": (
        situation(
            CRASHED,
            FOLLOWER,
            request=Request(SENTINELS[0], "refused", 2.5, "NOGOODSLAVE"),
            refusals=1,
        ),
        Action.ASK_FOR_FAILOVER,
    ),
    "disk lost, Sentinel finds no good replica": (
        situation(EMPTY, FOLLOWER, request=Request(SENTINELS[0], "refused", 1.0, "NOGOODSLAVE")),
        Action.WAIT,
    ),
    "clean, replica holds all": (situation(CLEAN, FOLLOWER), Action.ASK_FOR_FAILOVER),
    "clean, replica is behind": (
        situation(CLEAN, replace(FOLLOWER, offset=999)),
        Action.START_AS_MASTER,
    ),
    "clean, replica of another history": (
        situation(CLEAN, replace(FOLLOWER, replid="other", offset=5000)),
        Action.START_AS_MASTER,
    ),
    # (e) the whole cluster went down
    "alone, not waited": (situation(CRASHED, ABSENT), Action.WAIT),
    "alone, waited": (situation(CRASHED, ABSENT, waited=5.0), Action.START_AS_MASTER),
    "all restarted": (situation(CRASHED, RESTARTED), Action.START_AS_MASTER),
    "syncing replica is no successor": (
        situation(CRASHED, replace(FOLLOWER, syncing=True)),
        Action.START_AS_MASTER,
    ),
    # (f) two claims
    "rival": (situation(CRASHED, OTHER_MASTER, waited=9999.0), Action.WAIT),
    # (g) no majority
    "no sentinel": (situation(EMPTY, sentinels=say(None)), Action.WAIT),
    "one sentinel of three": (
        situation(CRASHED, OTHER_MASTER, sentinels=say(B)[:1] + say(None)[1:]),
        Action.WAIT,
    ),
    "sentinels disagree": (
        situation(CRASHED, sentinels=say(B)[:1] + say(ME)[1:2] + say(C)[2:]),
        Action.WAIT,
    ),
}


@pytest.mark.parametrize(("given_", "action"), CASES.values(), ids=CASES.keys())
def test_each_case_has_its_decision(given_: Situation, action: Action) -> None:
    decision = decide(given_)
    assert decision.action is action, decision.reason
    assert decision.reason


def test_a_replica_follows_whom_the_majority_names() -> None:
    views = say(B)[:2] + say(ME)[2:]
    decision = decide(situation(CRASHED, OTHER_MASTER, sentinels=views))
    assert decision == Decision(Action.START_AS_REPLICA, decision.reason, B)


nodes = st.builds(
    NodeView,
    address=st.sampled_from([B, C]),
    role=st.sampled_from([None, "master", "slave"]),
    offset=st.integers(0, 2000),
    replid=st.sampled_from(["mine", "other"]),
    link_down_seconds=st.sampled_from([None, -1, 0, 500]),
    syncing=st.booleans(),
    keys=st.integers(0, 2),
)
disks = st.builds(
    Disk,
    holds_data=st.booleans(),
    marker=st.none()
    | st.builds(
        Marker,
        started=st.just("then"),
        clean_stop=st.booleans(),
        offset=st.integers(0, 2000),
        replid=st.sampled_from(["mine", "other"]),
        has_keys=st.booleans(),
    ),
)
answers = st.builds(
    SentinelView,
    sentinel=st.sampled_from(SENTINELS),
    master=st.sampled_from([None, ME, B, C]),
    replicas=st.integers(0, 2),
    flags=st.frozensets(st.sampled_from(["master", "s_down", "o_down", "failover_in_progress"])),
)
situations = st.builds(
    Situation,
    me=st.just(ME),
    initial_master=st.booleans(),
    disk=disks,
    sentinels=st.tuples(answers, answers, answers),
    peers=st.tuples(nodes, nodes),
    waited=st.floats(0, 100),
    request=st.none()
    | st.builds(
        Request,
        sentinel=st.sampled_from(SENTINELS),
        answer=st.sampled_from(["accepted", "refused", "vanished"]),
        age=st.floats(0, 100),
    ),
)


@given(situations)
def test_nobody_becomes_master_beside_another_or_without_data(seen: Situation) -> None:
    decision = decide(seen)
    named = [view.master for view in seen.sentinels].count(ME) >= 2
    if decision.action is Action.START_AS_MASTER:
        assert named
        assert all(peer.role != "master" for peer in seen.peers)
        if not seen.disk.holds_data:
            assert seen.initial_master
            assert not any(peer.keys for peer in seen.peers)
            assert all(view.replicas == 0 for view in seen.sentinels if view.master)
        elif seen.disk.crashed:
            assert not any(peer.promotable for peer in seen.peers)
    if decision.action is Action.ASK_FOR_FAILOVER:
        assert named
        assert seen.request is None or seen.request.age >= seen.failover_retry
        assert any(peer.promotable for peer in seen.peers)


@given(situations)
def test_without_a_majority_nothing_starts_and_nothing_is_asked(seen: Situation) -> None:
    silent = tuple(replace(view, master=None) for view in seen.sentinels[:2])
    assert decide(replace(seen, sentinels=silent + seen.sentinels[2:])).action is Action.WAIT
