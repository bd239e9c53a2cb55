"""Faults by what the Docker engine gives: kill, pause, network disconnect, a route in a namespace.

Each step is a `docker` command, so that whoever may use Docker here may run the test.
"""

import inspect
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis_ha.discovery import Access
from redis_ha.errors import HarmRefused
from redis_ha.failover_test import blackhole
from redis_ha.failover_test.hands import Injury, InsideClient
from redis_ha.failover_test.inside import DockerInsideClient
from redis_ha.failover_test.records import Fault
from redis_ha.site import Member

_SECONDS = 60.0


@dataclass(frozen=True)
class Container:
    """A container as `docker inspect` gives it, cut to what is needed here."""

    name: str
    image: str
    running: bool
    paused: bool
    # Network -> the fixed address on it ("" where it has none there now).
    networks: Mapping[str, str]


@dataclass
class DockerHands:
    """Hurts and heals the containers of one site."""

    faults: frozenset[Fault] = frozenset({"crash", "hang", "partition", "asymmetric-partition"})

    def prepare(self, fault: Fault, victim: Member, *, sentinels: tuple[Member, ...]) -> Injury:
        """Find the victim's container and, for a partition, the network that it would leave."""
        container = self._find(victim)
        details = {"container": container.name}
        if fault == "partition":
            details |= self._network_of(container, victim)
        if fault == "asymmetric-partition":
            details["image"] = container.image
            details["unreachable"] = ",".join(member.address.host for member in sentinels)
        return Injury(fault, victim.name, details)

    def inflict(self, injury: Injury) -> None:
        """Hurt the container."""
        name = injury.details["container"]
        match injury.fault:
            case "crash":
                docker("kill", name)
            case "hang":
                docker("pause", name)
            case "partition":
                docker("network", "disconnect", injury.details["network"], name)
            case "asymmetric-partition":
                self._route(injury, "add")

    def heal(self, injury: Injury) -> None:
        """Bring the container back to where it was."""
        name = injury.details["container"]
        now = inspect_containers([name])[0]
        match injury.fault:
            case "crash" if not now.running:
                docker("start", name)
            case "hang" if now.paused:
                docker("unpause", name)
            case "partition" if not now.networks.get(injury.details["network"]):
                address = ["--ip", injury.details["address"]]
                docker("network", "connect", *address, injury.details["network"], name)
            case "asymmetric-partition" if now.running:
                self._route(injury, "del")

    def inside(self, victim: Member, access: Access, *, key: str) -> InsideClient | None:
        """Start a client in the victim's container, which stays when the network goes."""
        return DockerInsideClient.start(self._find(victim).name, victim.address, access, key=key)

    def _find(self, member: Member) -> Container:
        """Find a member's container by its name in the stack, else by its fixed address."""
        if member.container is not None:
            return inspect_containers([member.container])[0]
        names = docker("ps", "--all", "--format", "{{.Names}}").split()
        everything = inspect_containers(names) if names else []
        host = member.address.host
        found = [c for c in everything if host in c.networks.values()]
        if len(found) == 1:
            return found[0]
        raise HarmRefused(
            operation="find the container of",
            subject=str(member),
            cause=f"{len(found)} containers on this machine have the address {host}",
            hint="run it on the machine whose Docker runs the cluster, or name the --stack",
        )

    def _network_of(self, container: Container, victim: Member) -> dict[str, str]:
        for network, address in container.networks.items():
            if address == victim.address.host:
                return {"network": network, "address": address}
        raise HarmRefused(
            operation="cut off",
            subject=str(victim),
            cause=f"{container.name} has no network with that address",
            hint="see `docker inspect`; an earlier run may have left it disconnected",
        )

    def _route(self, injury: Injury, action: str) -> None:
        """Run a program with the right to change routes in the network namespace of the node."""
        name, details = injury.details["container"], injury.details
        place = ["--rm", "--network", f"container:{name}", "--user", "0"]
        rights = ["--cap-drop", "ALL", "--cap-add", "NET_ADMIN"]
        program = [details["image"], "-c", inspect.getsource(blackhole), action]
        addresses = details["unreachable"].split(",")
        docker("run", *place, *rights, "--entrypoint", "python3", *program, *addresses)


def inspect_containers(names: Sequence[str]) -> list[Container]:
    """Ask Docker for containers; raises HarmRefused when one is not there."""
    return [_container(shown) for shown in json.loads(docker("inspect", *names))]


def _container(shown: Mapping[str, Any]) -> Container:
    networks = shown["NetworkSettings"]["Networks"]
    return Container(
        name=shown["Name"].lstrip("/"),
        image=shown["Image"],
        running=shown["State"]["Running"],
        paused=shown["State"]["Paused"],
        networks={name: _address(network) for name, network in networks.items()},
    )


def _address(network: Mapping[str, Any]) -> str:
    """Return the address that was asked for: a stopped container has no other."""
    asked = (network.get("IPAMConfig") or {}).get("IPv4Address")
    return str(asked or network.get("IPAddress") or "")


def docker(*args: str) -> str:
    """Run the docker client and return what it printed; raises HarmRefused."""
    try:
        done = subprocess.run(
            ["docker", *args],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise _refused(args, "there is no docker command on the PATH") from error
    except subprocess.TimeoutExpired as error:
        raise _refused(args, f"it took over {_SECONDS:.0f} s") from error
    if done.returncode:
        raise _refused(args, " ".join(done.stderr.split()) or f"exit code {done.returncode}")
    return done.stdout.strip()


def _refused(args: Sequence[str], cause: str) -> HarmRefused:
    return HarmRefused(
        operation="run",
        subject="docker " + " ".join(args[:2]),
        cause=cause,
        hint="check with `docker ps` that you may use the Docker engine of the cluster",
    )
