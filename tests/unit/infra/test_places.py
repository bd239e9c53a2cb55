"""Where the nodes of a standing cluster are does not change; how many there are may."""

from typing import Any

import pytest

from infra.changes import Previous, forbidden_changes, read_previous
from infra.config import ClusterConfig
from infra.places import Identity, identity_of, read_identity
from infra.planner import make_plan
from infra.settings import parse

AWS = {"target": "aws"}


def identity(**settings: str) -> Identity:
    plan = make_plan(parse(ClusterConfig, settings))
    return identity_of(plan.topology, master_name=plan.config.sentinel.master_name)


def refused(before: Identity, **wanted: str) -> dict[str, str]:
    """Give the remedies by what is refused."""
    problems = forbidden_changes(Previous(identity=before), parse(ClusterConfig, wanted))
    assert all("the cluster's identity" in one.reason for one in problems)
    assert all("make a second stack and restore" in one.remedy for one in problems)
    return {f"{one.setting} = {one.value}": one.remedy.partition(";")[0] for one in problems}


@pytest.mark.parametrize(
    ("was", "wanted", "setting", "back"),
    [
        ({}, {"portOffset": "100"}, "portOffset = 100", "set it back to 0"),
        ({"portOffset": "100"}, {}, "portOffset = 0", "set it back to 100"),
        ({}, {"subnet": "172.29.0.0/24"}, "subnet = 172.29.0.0/24", "back to 172.28.0.0/24"),
        # The same addresses, but Docker would make the network anew.
        ({}, {"subnet": "172.28.0.0/25"}, "subnet = 172.28.0.0/25", "back to 172.28.0.0/24"),
        ({}, {"namePrefix": "two-"}, "namePrefix = two-", 'set it back to ""'),
        ({"namePrefix": "two-"}, {}, 'namePrefix = ""', "set it back to two-"),
        ({}, {"masterName": "other"}, "masterName = other", "set it back to mymaster"),
    ],
)
def test_what_the_nodes_are_known_by_is_refused_another_value(
    was: dict[str, str], wanted: dict[str, str], setting: str, back: str
) -> None:
    found = refused(identity(**was), **wanted)
    assert list(found) == [setting]
    assert back in found[setting]


def test_each_of_them_is_told_at_once() -> None:
    wanted = {"portOffset": "1", "subnet": "10.0.0.0/24", "namePrefix": "a-", "masterName": "b"}
    assert len(refused(identity(), **wanted)) == 4


@pytest.mark.parametrize(("was", "to_be"), [("2", "4"), ("4", "1")])
def test_nodes_may_come_and_go(was: str, to_be: str) -> None:
    assert refused(identity(replicas=was), replicas=to_be) == {}
    assert refused(identity(), sentinels="5", quorum="3", maxmemory="128mb") == {}


def test_a_machine_in_a_zone_keeps_its_address() -> None:
    outputs = {
        "nodes": [{"name": "redis-1", "role": "data", "address": "10.72.0.11", "port": 6379}]
    }
    before = read_identity(outputs)
    assert refused(before, **AWS) == {}
    # Its volumes, secrets and bucket bear the prefix, which no node's place says.
    named = read_identity({**outputs, "plan": {"namePrefix": ""}})
    assert refused(named, **AWS) == {}
    assert list(refused(named, **AWS, namePrefix="two-")) == ["namePrefix = two-"]
    (setting,) = refused(before, **AWS, nodeHost="12")
    assert setting == "nodeHost, vpcCidr or subnetCidrs = 10.72.0.12"


def test_a_stacks_outputs_say_what_it_is_known_by() -> None:
    plan = make_plan(ClusterConfig())

    def described(node: Any) -> dict[str, Any]:
        where = {"address": node.host, "port": node.port, "hostPort": node.port}
        return {"name": node.name, "role": node.role, "container": node.container, **where}

    outputs = {
        "nodes": [described(node) for node in plan.topology.data_nodes],
        "sentinels": [described(node) for node in plan.topology.sentinels],
        "subnet": "172.28.0.0/24",
        "env": {"REDIS_SENTINEL_MASTER": "mymaster", "REDIS_PASSWORD": "hidden"},
    }
    assert read_previous(outputs | {"plan": plan.output()}).identity == identity()
    before = read_identity(outputs)
    assert list(refused(before, namePrefix="two-")) == ["namePrefix = two-"]
    assert "hidden" not in repr(read_previous(outputs))


def test_a_stack_of_which_nothing_is_known_may_be_anywhere() -> None:
    assert read_identity({}) == Identity()
    assert refused(Identity(), portOffset="100", masterName="other") == {}
