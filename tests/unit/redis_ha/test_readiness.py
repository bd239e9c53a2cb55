"""Would a failover work: each thing that is missing makes it a no, with its reason."""

from dataclasses import replace

import pytest

from redis_ha.connection import Address
from redis_ha.findings import State
from redis_ha.readiness import is_ready, judge_readiness
from redis_ha.survey import Lack, PeerEntry, ReplicaEntry, Survey
from tests.unit.redis_ha.surveys import (
    HEALTHY,
    IDS,
    B,
    C,
    S,
    dead,
    sentinel,
    silent,
    with_node,
    with_sentinel,
)

DOWN = frozenset({"slave", "s_down"})
STRANGER = Address("10.9.9.9", 9)


def spoilt_lists(flags: frozenset[str] = DOWN, priority: int = 100) -> Survey:
    survey = HEALTHY
    for number in range(3):
        entries = tuple(ReplicaEntry(a, flags, priority) for a in (B, C))
        survey = with_sentinel(survey, number, replicas=entries)
    return survey


def test_a_healthy_cluster_is_ready_and_each_check_says_what_it_saw() -> None:
    findings = judge_readiness(HEALTHY)
    assert is_ready(findings)
    assert all(finding.state is State.OK and finding.reason for finding in findings)


NOT_READY = {
    "quorum lost": (silent(silent(HEALTHY, 0), 1), "quorum", "1 of 3 sentinels answer"),
    "CKQUORUM says no": (
        with_sentinel(HEALTHY, 0, quorum_verdict="NOQUORUM 1 usable"),
        "quorum",
        "NOQUORUM",
    ),
    "quorum of all, one is gone": (
        silent(with_sentinel(HEALTHY, 0, quorum=3), 2),
        "quorum",
        "3 are needed",
    ),
    "disagreement": (with_sentinel(HEALTHY, 1, view_master=B), "agreement", "names redis-2"),
    "the master is a replica": (with_node(HEALTHY, 0, view_role="slave"), "agreement", "slave"),
    "the master is dead": (dead(HEALTHY, 0), "agreement", "nobody listens there"),
    "two masters": (with_node(HEALTHY, 2, view_role="master"), "agreement", "master too"),
    "a peer is unknown": (
        with_sentinel(HEALTHY, 0, peers=sentinel(0).peers[:1]),
        "peers",
        "does not know sentinel-3",
    ),
    "a peer is out of reach": (
        with_sentinel(HEALTHY, 0, peers=(sentinel(0).peers[0], PeerEntry(S[2], IDS[2], DOWN))),
        "peers",
        "does not reach sentinel-3",
    ),
    "tilt": (with_sentinel(HEALTHY, 2, tilt=True), "votes", "TILT"),
    "a failover runs": (
        with_sentinel(HEALTHY, 2, view_flags=frozenset({"master", "failover_in_progress"})),
        "votes",
        "failing over",
    ),
    "no replica is up": (dead(dead(HEALTHY, 1), 2), "replicas", "no replica"),
    "all are taken for down": (spoilt_lists(), "replicas", "no replica"),
    "all have priority 0": (
        spoilt_lists(frozenset({"slave"}), priority=0),
        "replicas",
        "no replica",
    ),
    "all are far behind": (
        with_node(HEALTHY, 0, view_offset=100 << 20),
        "replicas",
        "every replica is more than",
    ),
    "an unknown replica": (
        with_sentinel(
            HEALTHY,
            0,
            replicas=(*sentinel(0).replicas, ReplicaEntry(STRANGER, frozenset({"slave"}))),
        ),
        "entries",
        "no node of this stack",
    ),
    "a ghost sentinel": (
        with_sentinel(
            HEALTHY,
            0,
            peers=(*sentinel(0).peers, PeerEntry(STRANGER, "d" * 40, frozenset({"s_down"}))),
        ),
        "entries",
        "none of this cluster",
    ),
    "a peer's rights": (
        with_sentinel(HEALTHY, 0, lacks=(Lack("sentinel-peer", "may not SENTINEL X"),)),
        "peer rights",
        "silently never happen",
    ),
    "a sentinel's rights": (
        with_node(HEALTHY, 1, lacks=(Lack("sentinel", "may not SLAVEOF"),)),
        "node rights",
        "may not SLAVEOF",
    ),
    "a sentinel that can't get in": (
        with_node(HEALTHY, 1, sentinel_users={IDS[0][:8]: "sentinel"}),
        "node rights",
        "sentinel-2 is not connected",
    ),
}


@pytest.mark.parametrize(("survey", "check", "words"), NOT_READY.values(), ids=NOT_READY.keys())
def test_what_stands_in_the_way_is_named(survey: Survey, check: str, words: str) -> None:
    findings = judge_readiness(survey)
    assert not is_ready(findings)
    bad = [f for f in findings if f.state is State.BAD and f.check == check]
    assert any(words in finding.reason for finding in bad), findings
    assert all(finding.remedy for finding in bad)


WARNED = {
    "one sentinel of three is gone": silent(HEALTHY, 2),
    "one replica of two is gone": dead(HEALTHY, 2),
    "one replica is out of sync": with_node(HEALTHY, 1, view_link_down_seconds=3),
}


@pytest.mark.parametrize("survey", WARNED.values(), ids=WARNED.keys())
def test_with_something_to_spare_it_is_a_yes_with_a_warning(survey: Survey) -> None:
    findings = judge_readiness(survey)
    assert is_ready(findings)
    assert State.WARNING in {finding.state for finding in findings}


def test_without_the_stack_only_a_dead_entry_is_a_zombie() -> None:
    unknown = replace(NOT_READY["an unknown replica"][0], complete=False)
    assert is_ready(judge_readiness(unknown))
