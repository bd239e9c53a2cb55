"""A healthy cluster as its survey shows it, for tests to spoil."""

from dataclasses import replace
from typing import Any

from redis_ha.connection import Address
from redis_ha.discovery import NodeView, SentinelView
from redis_ha.survey import Login, NodeSurvey, PeerEntry, ReplicaEntry, SentinelSurvey, Survey

A, B, C = (Address("10.0.0.1", 1), Address("10.0.0.2", 2), Address("10.0.0.3", 3))
S = tuple(Address(f"10.0.1.{n}", n) for n in (1, 2, 3))
IDS = ("a" * 40, "b" * 40, "c" * 40)
MIB = 1 << 20

INFO = {
    "used_memory": 10 * MIB,
    "maxmemory": 100 * MIB,
    "used_memory_rss": 12 * MIB,
    "mem_fragmentation_ratio": 1.2,
    "connected_clients": 10,
    "maxclients": 10_000,
}
CONFIG = {
    "min-replicas-to-write": "1",
    "min-replicas-max-lag": "3",
    "repl-backlog-size": str(64 * MIB),
    "appendonly": "yes",
    "appendfsync": "everysec",
    "replica-priority": "100",
}
_USERS = {run_id[:8]: "sentinel" for run_id in IDS}
LINES = {
    "slave0": {"ip": B.host, "port": B.port, "state": "online", "offset": 100, "lag": 0},
    "slave1": {"ip": C.host, "port": C.port, "state": "online", "offset": 100, "lag": 1},
}


def node(view: NodeView, **info: Any) -> NodeSurvey:
    login = Login("replica", "x")
    return NodeSurvey(view, INFO | info, CONFIG, witnesses=3, sentinel_users=_USERS, login=login)


def sentinel(number: int) -> SentinelSurvey:
    peers = [PeerEntry(S[n], IDS[n], frozenset({"sentinel"})) for n in range(3) if n != number]
    return SentinelSurvey(
        SentinelView(S[number], A, 2, frozenset({"master"})),
        run_id=IDS[number],
        epoch=2,
        quorum=2,
        since_role=300.0,
        quorum_verdict="OK 3 usable Sentinels",
        replicas=tuple(ReplicaEntry(a, frozenset({"slave"}), master=A) for a in (B, C)),
        peers=tuple(peers),
        login=Login("sentinel-peer", "y"),
    )


HEALTHY = Survey(
    nodes=(
        node(NodeView(A, "master", 100, connected_replicas=2), **LINES),
        node(NodeView(B, "slave", 100, master=A)),
        node(NodeView(C, "slave", 90, master=A)),
    ),
    sentinels=tuple(map(sentinel, range(3))),
    names={
        **{address: f"redis-{n}" for n, address in enumerate((A, B, C), start=1)},
        **{address: f"sentinel-{n}" for n, address in enumerate(S, start=1)},
    },
    certificates=dict.fromkeys((A, B, C, *S), 200.0),
    complete=True,
)


def with_node(survey: Survey, number: int, **changes: Any) -> Survey:
    """Change one node's survey; `view` changes are given as view_NAME, INFO's as info_NAME."""
    old = survey.nodes[number]
    parts: dict[str, dict[str, Any]] = {"view": {}, "info": {}, "config": {}}
    rest: dict[str, Any] = {}
    for name, value in changes.items():
        part, _, key = name.partition("_")
        if part in parts:
            parts[part][key if part != "config" else key.replace("_", "-")] = value
        else:
            rest[name] = value
    new = replace(
        old,
        view=replace(old.view, **parts["view"]),
        info={**old.info, **parts["info"]},
        config={**old.config, **parts["config"]},
        **rest,
    )
    nodes = list(survey.nodes)
    nodes[number] = new
    return replace(survey, nodes=tuple(nodes))


def with_sentinel(survey: Survey, number: int, **changes: Any) -> Survey:
    """Change one sentinel's survey; `view` changes are given as view_NAME."""
    old = survey.sentinels[number]
    view = {k.removeprefix("view_"): v for k, v in changes.items() if k.startswith("view_")}
    rest = {k: v for k, v in changes.items() if not k.startswith("view_")}
    sentinels = list(survey.sentinels)
    sentinels[number] = replace(old, view=replace(old.view, **view), **rest)
    return replace(survey, sentinels=tuple(sentinels))


def silent(survey: Survey, number: int) -> Survey:
    """Let a sentinel not answer."""
    sentinels = list(survey.sentinels)
    sentinels[number] = SentinelSurvey(SentinelView(S[number], problem="nobody listens there"))
    return replace(survey, sentinels=tuple(sentinels))


def dead(survey: Survey, number: int) -> Survey:
    """Let a data node not answer."""
    nodes = list(survey.nodes)
    nodes[number] = NodeSurvey(NodeView(nodes[number].address, problem="nobody listens there"))
    return replace(survey, nodes=tuple(nodes))
