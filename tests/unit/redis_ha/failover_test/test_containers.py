"""What `docker inspect` says, in the states that a fault makes."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from redis_ha.connection import Address
from redis_ha.errors import HarmRefused
from redis_ha.failover_test import docker_hands
from redis_ha.failover_test.docker_hands import DockerHands
from redis_ha.site import Member

VICTIM = Member("redis-1", Address("172.28.0.11", 6379))


def shown(name: str, networks: Mapping[str, Any], *, running: bool = True) -> dict[str, Any]:
    return {
        "Name": f"/{name}",
        "Image": "sha256:1",
        "State": {"Running": running, "Paused": False},
        "NetworkSettings": {"Networks": networks},
    }


def fixed(address: str, *, now: bool = True) -> dict[str, Any]:
    """A network with a fixed address, which a stopped container has no more at the moment."""
    return {"IPAMConfig": {"IPv4Address": address}, "IPAddress": address if now else ""}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """An engine that knows these containers and can be asked for nothing else."""
    containers = {
        "redis-1": shown("redis-1", {"redis-ha": fixed("172.28.0.11", now=False)}, running=False),
        "redis-2": shown("redis-2", {"redis-ha": fixed("172.28.0.12")}),
        "other": shown("other", {"bridge": {"IPAMConfig": None, "IPAddress": "172.17.0.2"}}),
    }

    def docker(*args: str) -> str:
        if args[0] == "ps":
            return "\n".join(containers)
        assert args[0] == "inspect"
        return json.dumps([containers[name] for name in args[1:]])

    monkeypatch.setattr(docker_hands, "docker", docker)
    return containers


def test_a_container_is_found_by_its_fixed_address_even_when_stopped(engine: object) -> None:
    injury = DockerHands().prepare("crash", VICTIM, sentinels=())
    assert injury.details == {"container": "redis-1"}


def test_a_partition_notes_the_network_to_come_back_to(engine: object) -> None:
    injury = DockerHands().prepare("partition", VICTIM, sentinels=())
    assert injury.details == {
        "container": "redis-1",
        "network": "redis-ha",
        "address": "172.28.0.11",
    }


def test_who_can_not_be_reached_is_noted(engine: object) -> None:
    sentinel = Member("sentinel-1", Address("172.28.0.21", 26379))
    injury = DockerHands().prepare("asymmetric-partition", VICTIM, sentinels=(sentinel, sentinel))
    assert injury.details["unreachable"] == "172.28.0.21,172.28.0.21"
    assert injury.details["image"] == "sha256:1"


def test_an_address_that_no_container_has_is_refused(engine: dict[str, dict[str, Any]]) -> None:
    del engine["redis-1"]
    with pytest.raises(HarmRefused, match="0 containers"):
        DockerHands().prepare("crash", VICTIM, sentinels=())


def test_one_that_is_cut_off_already_is_refused(engine: dict[str, dict[str, Any]]) -> None:
    engine["redis-1"] = shown("redis-1", {})
    named = Member(VICTIM.name, VICTIM.address, "redis-1")
    with pytest.raises(HarmRefused, match="disconnected"):
        DockerHands().prepare("partition", named, sentinels=())
