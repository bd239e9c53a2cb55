"""Whether another stack holds what a new one wants: addresses, ports and names of this host."""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import TYPE_CHECKING, Any

from toolchain.errors import Refused
from toolchain.host import output_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

# The defaults of the program's settings, which the stack's file need not repeat.
SUBNET, REPLICAS, SENTINELS = "172.28.0.0/24", 2, 3
DATA_PORT, SENTINEL_PORT = 6379, 26379
MONITORING_PORTS = (9121, 9122, 9090, 9093)
WAY_OUT = 'give this one its own: make up SET="namePrefix=two- portOffset=100 subnet=172.29.0.0/24"'


@dataclass(frozen=True)
class Wanted:
    """What a stack needs for itself on this host."""

    prefix: str
    subnet: IPv4Network
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Taken:
    """What is in use on this host: subnets by Docker network, container names, ports."""

    networks: Mapping[str, IPv4Network]
    containers: frozenset[str]
    ports: frozenset[int]


def wanted_by(config: Mapping[str, Any]) -> Wanted:
    """Work out what the settings ask for.

    Errors: ValueError for settings that the program itself will refuse in better words.
    """

    def number(name: str, default: int) -> int:
        return int(config.get(f"redis-ha:{name}", default))

    offset = number("portOffset", 0)
    data = range(DATA_PORT + offset, DATA_PORT + offset + number("replicas", REPLICAS) + 1)
    sentinels = range(
        SENTINEL_PORT + offset, SENTINEL_PORT + offset + number("sentinels", SENTINELS)
    )
    monitored = str(config.get("redis-ha:monitoring", "true")).lower() == "true"
    monitoring = MONITORING_PORTS if monitored else ()
    return Wanted(
        prefix=str(config.get("redis-ha:namePrefix", "")),
        subnet=IPv4Network(str(config.get("redis-ha:subnet", SUBNET))),
        ports=(*data, *sentinels, *(port + offset for port in monitoring)),
    )


def find(wanted: Wanted, taken: Taken) -> list[str]:
    """Say each thing that is wanted and taken."""
    found = [
        f"subnet {wanted.subnet} overlaps {subnet} of the Docker network {name}"
        for name, subnet in taken.networks.items()
        if subnet.overlaps(wanted.subnet)
    ]
    ports = [str(port) for port in wanted.ports if port in taken.ports]
    if ports:
        found.append(f"port {', '.join(ports)} of 127.0.0.1 is in use")
    name = f"{wanted.prefix}redis-1"
    if name in taken.containers:
        found.append(f"a container {name} exists")
    return found


def refuse(config: Mapping[str, Any]) -> None:
    """Stop before a new stack takes what another one holds.

    Errors: Refused with everything that is taken and the way out.
    """
    try:
        wanted = wanted_by(config)
    except ValueError:
        return
    found = find(wanted, look(wanted.ports))
    if found:
        raise Refused(
            operation="make",
            subject="the cluster",
            cause=" and ".join(found),
            hint=f"if another stack is there on purpose, {WAY_OUT}",
        )


def look(ports: Iterable[int]) -> Taken:
    """See what is in use on this host."""
    names = (output_of(["docker", "ps", "--all", "--format", "{{.Names}}"]) or "").split()
    ids = (output_of(["docker", "network", "ls", "--quiet"]) or "").split()
    described = output_of(["docker", "network", "inspect", *ids]) if ids else None
    return Taken(
        networks=subnets_in(described or "[]"),
        containers=frozenset(names),
        ports=frozenset(port for port in ports if _is_taken(port)),
    )


def subnets_in(inspected: str) -> dict[str, IPv4Network]:
    """Read the IPv4 subnets out of `docker network inspect`."""
    found = {}
    for network in json.loads(inspected):
        for part in (network.get("IPAM") or {}).get("Config") or []:
            subnet = ip_network(part["Subnet"], strict=False)
            if isinstance(subnet, IPv4Network):
                found[network["Name"]] = subnet
    return found


def _is_taken(port: int) -> bool:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def has_resources(checkpoint: Path) -> bool:
    """Say whether a stack's state in a file backend holds more than the stack itself."""
    if not checkpoint.is_file():
        return False
    latest = json.loads(checkpoint.read_text()).get("checkpoint", {}).get("latest") or {}
    kinds = {resource["type"] for resource in latest.get("resources") or []}
    return any(kind.startswith("docker:") for kind in kinds)
