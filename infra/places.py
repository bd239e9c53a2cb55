"""Where nodes and sentinels are, which may not change while the cluster stands. Pure.

Sentinels, replicas and clients know each of them by address and port, and the data by the
master's name: one that is somewhere else at once is lost to the others, and all are at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.config import ClusterConfig
from infra.errors import Problem
from infra.topology import NETWORK, Topology, arrange

_REASON = (
    "addresses and names are the cluster's identity, by which its nodes, sentinels and clients "
    "know each other"
)
_MOVE = (
    "to move, make a second stack and restore a snapshot there; where there is nothing to keep, "
    "`pulumi destroy` first"
)
# What decides the nodes' addresses, by target.
_NETWORK_SETTINGS = {"docker": "subnet", "aws": "nodeHost, vpcCidr or subnetCidrs"}
_NONE = '""'
_Part = Literal["address", "port", "container"]


@dataclass(frozen=True)
class Place:
    """One node or sentinel; `container` is empty where it runs on a machine of its own."""

    name: str
    address: str
    port: int
    container: str = ""


@dataclass(frozen=True)
class Identity:
    """What a cluster that is there is known by; empty, a prefix None, what isn't known of it."""

    places: tuple[Place, ...] = ()
    subnet: str = ""
    master_name: str = ""
    name_prefix: str | None = None


def read_identity(outputs: Mapping[str, Any]) -> Identity:
    """Take from a stack's outputs what it is known by."""
    nodes = (*(outputs.get("nodes") or ()), *(outputs.get("sentinels") or ()))
    return Identity(
        places=tuple(
            Place(str(n["name"]), str(n["address"]), int(n["port"]), str(n.get("container", "")))
            for n in nodes
            if {"name", "address", "port"} <= n.keys()
        ),
        subnet=str(outputs.get("subnet", "")),
        master_name=str((outputs.get("env") or {}).get("REDIS_SENTINEL_MASTER", "")),
        name_prefix=(outputs.get("plan") or {}).get("namePrefix"),
    )


def identity_of(topology: Topology, *, master_name: str) -> Identity:
    """Give what a planned cluster will be known by."""
    nodes = (*topology.data_nodes, *topology.sentinels)
    places = tuple(Place(node.name, node.host, node.port, node.container) for node in nodes)
    prefix = topology.network.removesuffix(NETWORK)
    return Identity(places, str(topology.subnet), master_name, prefix)


def identity_changes(before: Identity, wanted: ClusterConfig) -> Iterator[Problem]:
    """Refuse another place for a node that stays; names may come and go, as scaling does."""
    now = {place.name: place for place in identity_of(arrange(wanted), master_name="").places}
    stay = [(was, now[was.name]) for was in before.places if was.name in now]
    yield from _offset(stay, wanted)
    yield from _network(before, stay, wanted)
    yield from _prefix(before, stay, wanted)
    name = wanted.sentinel.master_name
    if before.master_name and before.master_name != name:
        yield _problem("masterName", name, f"it is {before.master_name} now", before.master_name)


_Pairs = Sequence[tuple[Place, Place]]


def _offset(stay: _Pairs, wanted: ClusterConfig) -> Iterator[Problem]:
    offset = wanted.layout.port_offset
    for was, to_be in _first_moved(stay, "port"):
        told = f"{was.name} would be at port {to_be.port} in place of {was.port}"
        yield _problem("portOffset", str(offset), told, str(offset + was.port - to_be.port))


def _network(before: Identity, stay: _Pairs, wanted: ClusterConfig) -> Iterator[Problem]:
    """Refuse other addresses; another network around the same ones is made anew as well."""
    subnet = str(wanted.layout.subnet)
    if wanted.target == "docker" and before.subnet and before.subnet != subnet:
        told = f"the nodes are in {before.subnet}, and would be in {subnet}"
        yield _problem("subnet", subnet, told, before.subnet)
        return
    for was, to_be in _first_moved(stay, "address"):
        told = f"{was.name} would be at {to_be.address} in place of {was.address}"
        yield _problem(
            _NETWORK_SETTINGS[wanted.target], to_be.address, told, f"what gives {was.address}"
        )


def _prefix(before: Identity, stay: _Pairs, wanted: ClusterConfig) -> Iterator[Problem]:
    """Refuse other names; outputs of long ago tell the prefix by the containers alone."""
    prefix = wanted.layout.name_prefix
    if before.name_prefix is not None and before.name_prefix != prefix:
        told = f"{before.name_prefix}{NETWORK} would become {prefix}{NETWORK}, without its data"
        yield _problem("namePrefix", prefix or _NONE, told, before.name_prefix)
        return
    for was, to_be in _first_moved(stay, "container"):
        told = f"{was.container} would become {to_be.container}, without its data"
        yield _problem("namePrefix", prefix or _NONE, told, was.container.removesuffix(was.name))


def _first_moved(stay: _Pairs, part: _Part) -> _Pairs:
    """Give the first whose place differs in that; one that isn't known of it is none."""
    pairs = [(was, to_be) for was, to_be in stay if getattr(was, part)]
    return [pair for pair in pairs if getattr(pair[0], part) != getattr(pair[1], part)][:1]


def _problem(setting: str, value: str, told: str, back: str) -> Problem:
    return Problem(setting, value, f"{told}; {_REASON}", f"set it back to {back or _NONE}; {_MOVE}")
