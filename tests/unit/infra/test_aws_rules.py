"""On AWS the planner refuses what would not hold, before anything is asked or made."""

import gzip
import json
from importlib import resources
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.config import ClusterConfig
from infra.errors import ConfigRefused, PlanRefused
from infra.machines import MACHINES
from infra.planner import make_plan, refusals
from infra.settings import parse
from tests.unit.infra.aws_stack import environment, prod_settings
from tests.unit.infra.recorded_graph import record

EXISTING = {
    "vpcId": "vpc-0a",
    "subnetIds": '["subnet-0a","subnet-0b","subnet-0c"]',
    "subnetCidrs": '["10.1.0.0/24","10.1.1.0/24","10.1.2.0/24"]',
}


MINIMUM = {
    "instanceType": "c6in.xlarge",
    "maxmemory": "2gb",
    "nodeMemoryMb": 4864,
    "workerMemoryMb": 2403,
}


def configured(**settings: Any) -> ClusterConfig:
    given = {name: str(value) for name, value in settings.items()}
    return parse(ClusterConfig, {**prod_settings(), **given})


def test_the_committed_settings_pass_and_the_defaults_too() -> None:
    assert refusals(configured()) == []
    assert refusals(parse(ClusterConfig, {"target": "aws"})) == []


@pytest.mark.parametrize(
    ("settings", "refused", "remedy"),
    [
        ({"zones": '["us-east-1a","us-east-1b"]'}, ["zones"], "three different zones"),
        ({"zones": '["us-east-1a","us-east-1a","us-east-1b"]'}, ["zones"], "three different"),
        ({"zones": '["us-east-1a","us-east-1b","eu-west-1c"]'}, ["zones"], "its zones"),
        ({"region": "cn-north-1"}, ["region"], "commercial partition"),
        ({"replicas": 3}, ["zones"], "replicas to 2"),
        ({"sentinels": 5, "quorum": 3}, ["zones"], "name 5 zones and set replicas to 4"),
        ({"vpcCidr": "10.0.0.0/23"}, ["vpcCidr"], "/22 or larger"),
        ({"vpcCidr": "10.0.0.0/25"}, ["vpcCidr"], "/22 or larger"),
        ({"vpcCidr": "11.0.0.0/16"}, ["vpcCidr"] * 3, "10.0.0.0/8"),
        ({"subnetCidrs": '["10.72.0.0/24","10.72.0.128/25","10.72.2.0/24"]'}, ["subnetCidrs"],
         "share no address"),
        ({"subnetCidrs": '["10.72.0.0/24","10.72.1.0/24"]'}, ["subnetCidrs"], "one for each zone"),
        ({"subnetCidrs": '["10.72.0.0/24","10.72.1.0/24","10.99.2.0/24"]'}, ["subnetCidrs"],
         "set vpcCidr"),
        ({"nodeHost": 255}, ["nodeHost"] * 3, "below 255"),
        ({"nodeHost": 254}, [], ""),
        (EXISTING, [], ""),
        ({**EXISTING, "subnetIds": "[]"}, ["subnetIds"], "name 3 in subnetIds"),
        ({**EXISTING, "endpoints": "true"}, ["endpoints"], "pulumi config rm endpoints"),
        ({**EXISTING, "endpoints": "false"}, [], ""),
        ({"vpcCidr": "10.0.0.0/15"}, ["vpcCidr"], "a /16 or smaller"),
        ({**EXISTING, "subnetCidrs": '["10.0.0.0/15","10.2.0.0/16","10.3.0.0/16"]'},
         ["subnetCidrs"], "a /16 or smaller"),
        ({**EXISTING, "vpcCidr": "10.0.0.0/8"}, [], ""),
        ({"subnetIds": '["subnet-0a"]'}, ["vpcId"], "set vpcId"),
        ({"instanceType": "x9.huge"}, ["instanceType"], "set one of c6in.xlarge"),
        ({"instanceType": "c7gn.large", "ioThreads": 2, "maxmemory": "256mb", "nodeMemoryMb": 896,
          "workerMemoryMb": 1024}, ["instanceType"], "c6in.2xlarge"),
        ({"instanceType": "c6in.xlarge"}, ["nodeMemoryMb"], "set it to 1920 or less"),
        ({**MINIMUM, "workerMemoryMb": 2402}, ["workerMemoryMb"], "set it to 2403 or more"),
        ({**MINIMUM, "workerMemoryMb": 1024, "backupDrill": "false"}, [], ""),
        ({**MINIMUM, "workerMemoryMb": 1024, "backupEnabled": "false"}, [], ""),
        (MINIMUM, [], ""),
        ({"ioThreads": 9}, ["ioThreads"], "8 or less"),
        ({"volumeIops": 3000, "volumeThroughput": 1000}, ["volumeThroughput"], "4000 or more"),
        ({"volumeGb": 11}, ["volumeIops", "volumeGb"], "18 or more"),
        ({"backupStore": "s3://mine/here"}, ["backupStore"], "pulumi config rm backupStore"),
        ({"kmsKey": "arn:aws:kms:eu-west-1:123456789012:key/k"}, ["kmsKey"], "name one there"),
        ({"alarmTarget": "arn:aws:sns:eu-west-1:123456789012:t"}, ["alarmTarget"], "one there"),
        ({"downAfterMs": 3000}, ["minReplicasMaxLag"], "raise downAfterMs above 3000"),
        ({"downAfterMs": 1000, "minReplicasMaxLag": 1}, ["downAfterMs", "minReplicasMaxLag"], ""),
    ],
)  # fmt: skip
def test_each_rule_refuses_its_own_setting_with_a_remedy(
    settings: dict[str, Any], refused: list[str], remedy: str
) -> None:
    found = refusals(configured(**settings))
    assert [p.setting for p in found] == refused
    assert not found or any(remedy in p.remedy for p in found)
    assert all(p.reason and p.remedy for p in found)


@pytest.mark.parametrize("setting", ["zones", "vpcCidr", "subnetCidrs", "tags", "region"])
def test_what_cannot_be_read_is_refused_by_name(setting: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        configured(**{setting: "[1"})
    assert [p.setting for p in refused.value.problems] == [setting]


def test_a_bad_setting_is_refused_before_credentials_are_asked_for() -> None:
    with environment(), pytest.raises(PlanRefused, match="two masters take writes at once"):
        record({**prod_settings(), "downAfterMs": "3000"})


def test_docker_does_not_care_about_zones() -> None:
    assert refusals(parse(ClusterConfig, {"zones": '["us-east-1a"]', "instanceType": "a.b"})) == []


@given(st.integers(4, 250), st.integers(0, 200), st.sampled_from(["", "two-"]))
def test_each_machine_has_an_address_of_its_own_in_its_subnet(
    host: int, second: int, prefix: str
) -> None:
    config = configured(nodeHost=host, vpcCidr=f"10.{second}.0.0/16", namePrefix=prefix)
    topology = make_plan(config).topology
    hosts = [node.host for node in topology.data_nodes]
    assert hosts == [node.host for node in topology.sentinels]
    assert len(set(hosts)) == 3
    assert all(IPv4Address(each) in config.aws.vpc_cidr for each in hosts)
    ports = [node.port for node in (*topology.data_nodes, *topology.sentinels)]
    assert len(set(ports)) == 6


def test_the_plan_says_where_and_what_the_loss_of_a_zone_costs() -> None:
    plan = make_plan(configured())
    assert "on c6in.2xlarge in us-east-1a, us-east-1b, us-east-1c" in plan.summary()
    faults = {p.fault: p for p in plan.predictions}
    assert "host loss" not in faults
    assert faults["zone loss"].outage == faults["partition"].outage


def test_the_machines_are_as_ec2_describes_them() -> None:
    data = resources.files("moto.ec2") / "resources" / "instance_types.json.gz"
    described = json.loads(gzip.decompress(data.read_bytes()))
    for machine in MACHINES.values():
        theirs = described[machine.name]
        assert machine.vcpus == theirs["VCpuInfo"]["DefaultVCpus"]
        assert machine.memory_gb * 1024 == theirs["MemoryInfo"]["SizeInMiB"]
        network = theirs["NetworkInfo"]["NetworkCards"][0]["BaselineBandwidthInGbps"]
        assert machine.network_gbps == network
        architecture = {"amd64": "x86_64", "arm64": "arm64"}[machine.architecture]
        assert architecture in theirs["ProcessorInfo"]["SupportedArchitectures"]
