"""The doctor: each known trouble is found, with a remedy, and a healthy cluster has none."""

from dataclasses import replace

import pytest

from redis_ha.diagnosis import CHECKS, diagnose
from redis_ha.findings import State
from redis_ha.survey import Denial, Survey
from tests.unit.redis_ha.surveys import HEALTHY, MIB, A, dead, silent, with_node, with_sentinel

REFUSED = Denial("app", "command", "config|get", age=5.0, count=3)


def test_a_healthy_cluster_has_no_trouble_and_every_check_is_answered() -> None:
    findings = diagnose(HEALTHY)
    assert {finding.state for finding in findings} == {State.OK}
    assert set(CHECKS) <= {finding.check for finding in findings}


TROUBLES: dict[str, tuple[Survey, str, str]] = {
    "a node is silent": (dead(HEALTHY, 1), "ports", "redis-2"),
    "a sentinel is silent": (silent(HEALTHY, 0), "ports", "sentinel-1"),
    "two masters": (with_node(HEALTHY, 1, view_role="master"), "split brain", "redis-1, redis-2"),
    "no master": (with_node(HEALTHY, 0, view_role="slave"), "split brain", "nobody"),
    "down-after too short": (
        with_sentinel(HEALTHY, 0, view_down_after=1.0),
        "failover timing",
        "down-after 1 s",
    ),
    "down-after forgotten": (
        with_sentinel(HEALTHY, 0, view_down_after=600.0),
        "failover timing",
        "restore",
    ),
    "sentinels differ": (
        with_sentinel(HEALTHY, 0, view_down_after=9.0),
        "failover timing",
        "different",
    ),
    "failover-timeout too long": (
        with_sentinel(HEALTHY, 0, view_failover_timeout=600.0),
        "failover timing",
        "failover-timeout",
    ),
    "a witness is missing": (with_node(HEALTHY, 1, witnesses=2), "witnesses", "2 of 3"),
    "one witness sees nothing": (
        with_node(HEALTHY, 2, witnesses=1),
        "witnesses",
        "no majority",
    ),
    "no fence": (with_node(HEALTHY, 0, config_min_replicas_to_write="0"), "fencing", "isolated"),
    "a late fence": (with_node(HEALTHY, 0, config_min_replicas_max_lag="5"), "fencing", "below"),
    "priorities": (
        with_node(HEALTHY, 0, config_replica_priority="99"),
        "priorities",
        "redis-1 99",
    ),
    "memory full": (with_node(HEALTHY, 0, info_used_memory=95 * MIB), "memory", "95%"),
    "no limit": (with_node(HEALTHY, 0, info_maxmemory=0), "memory", "no maxmemory"),
    "fragmented": (
        with_node(HEALTHY, 0, info_mem_fragmentation_ratio=2.5, info_used_memory_rss=200 * MIB),
        "memory",
        "fragmentation 2.5",
    ),
    "many clients": (with_node(HEALTHY, 0, info_connected_clients=9000), "connections", "9000"),
    "refused clients": (
        with_node(HEALTHY, 0, info_rejected_connections=7),
        "connections",
        "refused 7",
    ),
    "small backlog": (
        with_node(HEALTHY, 0, config_repl_backlog_size=str(MIB)),
        "replication buffers",
        "1 MiB",
    ),
    "resyncs": (
        with_node(HEALTHY, 0, info_sync_full=40, info_sync_partial_err=38),
        "replication buffers",
        "40 full",
    ),
    "a failed save": (
        with_node(HEALTHY, 0, info_rdb_last_bgsave_status="err"),
        "persistence",
        "RDB save failed",
    ),
    "no persistence": (
        with_node(HEALTHY, 0, config_appendonly="no", config_save=""),
        "persistence",
        "neither",
    ),
    "a spike": (with_node(HEALTHY, 0, spikes={"fork": 800}), "latency", "800 ms at fork"),
    "one clock off": (with_node(HEALTHY, 2, skew=-30.0), "clocks", "-30.0 s off the others"),
    "a certificate ends": (
        replace(HEALTHY, certificates={A: 5.0}),
        "certificates",
        "expires in 5.0 days",
    ),
    "a certificate has ended": (
        replace(HEALTHY, certificates={A: "its certificate has expired"}),
        "certificates",
        "has expired",
    ),
    "a denial": (with_node(HEALTHY, 0, denials=(REFUSED,)), "ACL denials", "config|get"),
    "a sentinel that names nobody": (
        with_sentinel(HEALTHY, 0, view_master=None),
        "ports",
        "sentinel-1",
    ),
}


@pytest.mark.parametrize(("survey", "check", "words"), TROUBLES.values(), ids=TROUBLES.keys())
def test_a_trouble_is_found_with_a_remedy(survey: Survey, check: str, words: str) -> None:
    found = [f for f in diagnose(survey) if f.check == check and f.state > State.UNKNOWN]
    assert any(words in f"{f.subject} {f.reason}" for f in found), found
    assert all(finding.remedy for finding in found)


@pytest.mark.parametrize(
    "survey",
    [
        with_node(HEALTHY, 0, denials=(replace(REFUSED, age=90_000.0),)),
        with_node(HEALTHY, 0, denials=(replace(REFUSED, what="client|setinfo"),)),
        with_node(HEALTHY, 0, info_mem_fragmentation_ratio=9.0),
        replace(HEALTHY, certificates={A: "nobody listens there"}),
    ],
    ids=[
        "an old denial",
        "a library's name",
        "a small server's fragmentation",
        "a silent node's certificate",
    ],
)
def test_what_is_no_trouble_stays_unsaid(survey: Survey) -> None:
    assert {finding.state for finding in diagnose(survey)} == {State.OK}


def test_the_clock_of_this_machine_is_told_from_the_nodes() -> None:
    survey = HEALTHY
    for number in range(3):
        survey = with_node(survey, number, skew=100.0)
    found = [f for f in diagnose(survey) if f.check == "clocks"]
    assert len(found) == 1
    assert "this machine" in found[0].reason
