"""The six key metrics of a cluster, from a survey and a run of round trips. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from redis_ha.round_trip import Samples
from redis_ha.survey import Survey


@dataclass(frozen=True)
class ReplicaLag:
    """How far a replica is behind; `seconds` since its last acknowledgement, None unknown."""

    name: str
    bytes: int | None
    seconds: float | None


@dataclass(frozen=True)
class NodeLoad:
    """Connections and memory (bytes) of a data node; `limit` 0 is none."""

    name: str
    connections: int
    max_connections: int
    memory: int
    memory_limit: int


@dataclass(frozen=True)
class Latency:
    """Percentiles of measured round trips, in milliseconds; None without a measurement."""

    samples: int
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True)
class Stats:
    """Availability (0 to 1) of the master, lag, consensus, connections, memory, latency.

    `agreeing` of `sentinels` name the same master, `master`.
    """

    availability: float
    master: str
    agreeing: int
    sentinels: int
    lag: tuple[ReplicaLag, ...]
    load: tuple[NodeLoad, ...]
    latency: Latency
    problem: str = ""

    def described(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return asdict(self)


def compute(survey: Survey, samples: Samples) -> Stats:
    """Compute the metrics."""
    master = survey.master
    return Stats(
        availability=len(samples.seconds) / samples.tried if samples.tried else 0.0,
        master=survey.name(master) if master else "",
        agreeing=sum(s.view.master == master for s in survey.answering) if master else 0,
        sentinels=len(survey.sentinels),
        lag=tuple(replica_lags(survey)),
        load=tuple(_load(survey)),
        latency=latency(samples.seconds),
        problem=samples.failures[-1] if samples.failures else "",
    )


def latency(seconds: Sequence[float]) -> Latency:
    """Return the percentiles of round trips given in seconds."""
    return Latency(len(seconds), *(percentile(seconds, share) for share in (0.5, 0.95, 0.99)))


def percentile(seconds: Sequence[float], share: float) -> float | None:
    """Return the smallest value (in ms) that at least `share` of all don't exceed."""
    if not seconds:
        return None
    rank = max(0, ceil(share * len(seconds)) - 1)
    return round(sorted(seconds)[rank] * 1000, 3)


def replica_lags(survey: Survey) -> list[ReplicaLag]:
    """Say of each data node, but the master that the majority names, how far it is behind."""
    found = []
    for node in survey.nodes:
        if node.address == survey.master:
            continue
        behind, seconds = survey.lag(node)
        known = node.view.role == "slave" and survey.leader is not None
        found.append(ReplicaLag(survey.name(node.address), behind if known else None, seconds))
    return found


def _load(survey: Survey) -> list[NodeLoad]:
    return [
        NodeLoad(
            survey.name(node.address),
            connections=int(node.number("connected_clients")),
            max_connections=int(node.number("maxclients")),
            memory=int(node.number("used_memory")),
            memory_limit=int(node.number("maxmemory")),
        )
        for node in survey.nodes
        if node.view.role is not None
    ]
