"""What another stack on the same host may hold."""

import json
import socket
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from infra.config import Layout
from infra.topology import lay_out
from toolchain.collisions import Taken, find, has_resources, look, subnets_in, wanted_by

FREE = Taken(networks={}, containers=frozenset(), ports=frozenset())


def test_the_defaults_are_those_of_the_program() -> None:
    topology, wanted = lay_out(Layout()), wanted_by({})
    nodes = (*topology.data_nodes, *topology.sentinels, *topology.monitors.nodes)
    assert wanted.subnet == topology.subnet
    assert sorted(wanted.ports) == sorted(node.port for node in nodes)
    assert f"{wanted.prefix}redis-1" == topology.initial_master.container


def test_settings_move_everything() -> None:
    config = {
        "redis-ha:namePrefix": "two-",
        "redis-ha:portOffset": "100",
        "redis-ha:subnet": "172.29.0.0/24",
    }
    wanted = wanted_by(config)
    assert wanted.prefix == "two-"
    assert wanted.ports == (6479, 6480, 6481, 26479, 26480, 26481, 9221, 9222, 9190, 9193)
    assert len(wanted_by({**config, "redis-ha:monitoring": "false"}).ports) == 6
    assert wanted.subnet == IPv4Network("172.29.0.0/24")
    assert find(wanted, FREE) == []


def test_each_thing_that_is_taken_is_named() -> None:
    taken = Taken(
        networks={"redis-ha": IPv4Network("172.28.0.0/16"), "bridge": IPv4Network("172.17.0.0/16")},
        containers=frozenset({"redis-1", "web"}),
        ports=frozenset({6379, 80}),
    )
    assert find(wanted_by({}), taken) == [
        "subnet 172.28.0.0/24 overlaps 172.28.0.0/16 of the Docker network redis-ha",
        "port 6379 of 127.0.0.1 is in use",
        "a container redis-1 exists",
    ]


@pytest.mark.parametrize("value", ["many", "172.29.0.1/24"])
def test_settings_that_cannot_be_read_are_left_to_the_program(value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        wanted_by({"redis-ha:portOffset": value, "redis-ha:subnet": value})


def test_subnets_are_read_from_docker_s_own_description() -> None:
    described = [
        {"Name": "none", "IPAM": {"Config": None}},
        {"Name": "six", "IPAM": {"Config": [{"Subnet": "fd00::/64"}]}},
        {"Name": "four", "IPAM": {"Config": [{"Subnet": "10.1.0.0/16", "Gateway": "10.1.0.1"}]}},
    ]
    assert subnets_in(json.dumps(described)) == {"four": IPv4Network("10.1.0.0/16")}


def test_a_port_that_someone_listens_on_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port in look([port]).ports


def test_a_stack_has_resources_once_docker_s_are_in_its_state(tmp_path: Path) -> None:
    state = tmp_path / "dev.json"
    assert not has_resources(state)
    kinds = [{"type": "pulumi:pulumi:Stack"}]
    state.write_text(json.dumps({"checkpoint": {"latest": {"resources": kinds}}}))
    assert not has_resources(state)
    kinds.append({"type": "docker:index/network:Network"})
    state.write_text(json.dumps({"checkpoint": {"latest": {"resources": kinds}}}))
    assert has_resources(state)
    state.write_text(json.dumps({"checkpoint": {"latest": None}}))
    assert not has_resources(state)
