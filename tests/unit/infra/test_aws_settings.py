"""The prod stack's contents and settings: what machines boot with, what is brought along."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from infra.config import ClusterConfig
from infra.errors import CredentialsMissing, PackagesMissing
from infra.planner import make_plan
from infra.settings import parse
from infra.targets.aws.bundle import find_bundle
from infra.targets.aws.cluster import RedisHaCluster, RedisHaClusterArgs
from infra.targets.aws.network import ExistingNetwork
from tests.unit.infra.aws_stack import environment, fill, prod_settings, record_prod
from tests.unit.infra.recorded_graph import (
    Graph,
    hidden_words,
    leave_out_secrets,
    record,
    record_program,
)

NODES = ["redis-1", "redis-2", "redis-3"]
USER_DATA_LIMIT = 16 * 1024
SECRET_LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def graph(packages: Path) -> Graph:
    return record_prod(packages)


def test_user_data_is_small_and_holds_no_secret(graph: Graph) -> None:
    for name in NODES:
        instance = graph.of_type("Instance")[f"{name}-instance"]
        text = instance.properties["userData"]
        assert isinstance(text, str), "marked secret, so something in it is"
        assert len(text.encode()) < USER_DATA_LIMIT
        assert not hidden_words(text)
        assert f"{name}-secret-entry" in text
        assert not any(f"{other}-secret-entry" in text for other in NODES if other != name)


def test_a_changed_file_of_a_node_replaces_its_machine(packages: Path, graph: Graph) -> None:
    def user_data(of: Graph) -> str:
        text: str = of.of_type("Instance")["redis-2-instance"].inputs["userData"]
        return text

    assert user_data(record_prod(packages)) == user_data(graph)
    assert user_data(record_prod(packages, timeout="301")) != user_data(graph)
    changed = record_prod(fill(packages, b"newer code"))
    assert user_data(record_prod(fill(packages))) == user_data(graph)
    assert user_data(changed) != user_data(graph)


def test_a_nodes_secret_is_its_files(graph: Graph) -> None:
    version = graph.of_type("SecretVersion")["redis-2-secret-content"].inputs
    text = version["secretStringWo"]
    assert len(text.encode()) < SECRET_LIMIT
    files = json.loads(text)
    assert files.keys() == {
        *("data/node.json", "data/redis.conf", "data/users.acl"),
        *("sentinel/node.json", "sentinel/sentinel.conf", "sentinel/users.acl"),
        *("tls/ca.crt", "tls/node.crt", "tls/node.key", "worker/worker.env"),
        *("redis-exporter/options.env", "redis-exporter/passwords.json", "exporter/exporter.env"),
    }
    options = files["redis-exporter/options.env"]
    assert "--web.listen-address=10.72.1.11:9121" in options
    password = json.loads(files["redis-exporter/passwords.json"])["rediss://10.72.1.11:6380"]
    assert password
    assert password not in options
    exporter = dict(line.split("=", 1) for line in files["exporter/exporter.env"].splitlines())
    assert exporter["REDIS_EXPORTER_PASSWORD"] == password
    assert exporter["REDIS_EXPORTER_METRICS_HOST"] == "10.72.1.11"
    assert exporter["REDIS_EXPORTER_METRICS_PORT"] == "9122"
    assert exporter["REDIS_NODE_HOST_3"] == "10.72.2.11"
    assert "REDIS_OPERATOR_PASSWORD" not in exporter
    described = json.loads(files["data/node.json"])
    assert (described["name"], described["host"], described["port"]) == (
        *("redis-2", "10.72.1.11", 6380),
    )
    worker = dict(line.split("=", 1) for line in files["worker/worker.env"].splitlines())
    assert worker["REDIS_BACKUP_STORE"] == "s3://redis-ha-123456789012-us-east-1/backup"
    assert worker["REDIS_BACKUP_SCRATCH_HOST"] == "10.72.1.11"
    assert worker["AWS_DEFAULT_REGION"] == "us-east-1"
    assert "AWS_ACCESS_KEY_ID" not in worker
    assert 0 < version["secretStringWoVersion"] < 1 << 31


def test_a_changed_secret_has_another_version(packages: Path, graph: Graph) -> None:
    def number(of: Graph, name: str) -> int:
        version: int = of.of_type("SecretVersion")[name].inputs["secretStringWoVersion"]
        return version

    changed = record_prod(packages, timeout="301")
    assert number(changed, "redis-1-secret-content") != number(graph, "redis-1-secret-content")
    worker = "backup-worker-secret-content"
    assert number(changed, worker) == number(graph, worker)


def test_no_secret_is_readable_in_the_state(graph: Graph) -> None:
    for each in graph.registered:
        assert not hidden_words(json.dumps(leave_out_secrets(each.properties))), each.name
    assert graph.secret_outputs == {"env", "backupIdentity"}
    shown = {k: v for k, v in graph.outputs.items() if k not in graph.secret_outputs}
    assert not hidden_words(json.dumps(shown))


def test_certificates_name_both_servers_of_a_machine(graph: Graph) -> None:
    request = graph.of_type("CertRequest")["redis-3-request"].inputs
    assert request["ipAddresses"] == ["10.72.2.11", "127.0.0.1"]
    assert request["dnsNames"] == ["redis-3", "sentinel-3", "localhost"]
    assert len(graph.of_type("LocallySignedCert")) == 3


def test_the_operators_key_replaces_the_stacks(packages: Path) -> None:
    key = "arn:aws:kms:us-east-1:210987654321:key/theirs"
    graph = record_prod(packages, kmsKey=key)
    assert not graph.of_type("Key")
    assert graph.of_type("Volume")["redis-1-data"].inputs["kmsKeyId"] == key
    assert graph.of_type("Secret")["redis-1-secret-entry"].inputs["kmsKeyId"] == key


def test_an_existing_vpc_is_used_and_nothing_of_it_made(packages: Path) -> None:
    graph = record_prod(
        packages,
        vpcId="vpc-0a",
        subnetIds='["subnet-0a","subnet-0b","subnet-0c"]',
        subnetCidrs='["10.1.1.0/24","10.1.2.0/24","10.1.3.0/24"]',
    )
    for kind in ("Vpc", "Subnet", "RouteTable", "RouteTableAssociation", "DefaultSecurityGroup"):
        assert not graph.of_type(kind)
    # Whatever else is in the VPC goes on reaching these services as it did.
    assert not graph.of_type("VpcEndpoint")
    out = graph.of_type("SecurityGroupEgressRule")["out-nodes-services"].inputs
    assert (out["cidrIpv4"], out["fromPort"], out["toPort"]) == ("0.0.0.0/0", 443, 443)
    interface = graph.of_type("NetworkInterface")["redis-3-interface"].inputs
    assert (interface["subnetId"], interface["privateIps"]) == ("subnet-0c", ["10.1.3.11"])
    assert {g.inputs["vpcId"] for g in graph.of_type("SecurityGroup").values()} == {"vpc-0a"}


def test_graviton_takes_its_own_image_and_a_pinned_one_is_kept(packages: Path) -> None:
    graviton = record_prod(packages, instanceType="c7gn.2xlarge")
    asked = graviton.asked["aws:ec2/getAmi:getAmi"]
    assert asked["filters"] == [{"name": "name", "values": ["debian-13-arm64-*"]}]
    pinned = record_prod(packages, ami="ami-0abc")
    instance = pinned.of_type("Instance")["redis-1-instance"]
    assert instance.inputs["ami"] == "ami-0abc"
    assert not instance.options.ignoreChanges
    assert "aws:ec2/getAmi:getAmi" not in pinned.asked


def test_two_stacks_share_no_name(packages: Path, graph: Graph) -> None:
    other = record_prod(packages, namePrefix="two-")

    def names(of: Graph) -> set[object]:
        return {
            (r.type, r.inputs[key])
            for r in of.registered
            for key in ("name", "namePrefix", "bucket", "associationName")
            if r.options.custom and r.type.startswith("aws:") and isinstance(r.inputs.get(key), str)
            and not r.type.endswith((":RolePolicy", ":Association"))
        }  # fmt: skip

    shared = {each for each in names(graph) & names(other) if each[1] != "bucket-id"}  # type: ignore[index]
    assert not shared


def test_names_that_all_regions_share_differ_by_region_and_fit(packages: Path) -> None:
    settings = {"namePrefix": "a" * 21, "region": "ap-southeast-4"}
    longest, other = record_prod(packages, **settings), record_prod(packages)
    for kind in ("Role", "InstanceProfile"):
        names = {str(each.inputs["name"]) for each in longest.of_type(kind).values()}
        assert len(names) == 3
        assert all("ap-southeast-4" in name and len(name) <= 64 for name in names)
        assert all("us-east-1" in str(r.inputs["name"]) for r in other.of_type(kind).values())


def test_the_region_is_the_providers(packages: Path) -> None:
    graph = record_prod(packages, region="eu-central-1")
    (provider,) = (r for r in graph.registered if r.type == "pulumi:providers:aws")
    assert provider.inputs["region"] == "eu-central-1"
    assert {s.inputs["availabilityZone"] for s in graph.of_type("Subnet").values()} == {
        *("eu-central-1a", "eu-central-1b", "eu-central-1c")
    }
    ours = [r for r in graph.registered if r.options.custom and r.type.startswith("aws:")]
    assert all(provider.urn in r.options.provider for r in ours)


def test_without_credentials_one_sentence_says_what_is_missing(packages: Path) -> None:
    with environment(), pytest.raises(CredentialsMissing) as missing:
        record({**prod_settings(), "packageSource": str(packages)})
    said = str(missing.value)
    assert said.startswith("AWS credentials are missing: set AWS_PROFILE, or AWS_ACCESS_KEY_ID")
    assert "\n" not in said


@pytest.mark.parametrize("names", [[], ["node-1.tar"], ["a", "b"]])
def test_without_one_bundle_nothing_is_made(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        digest = sha256(name.encode()).hexdigest()
        (tmp_path / (name if "." in name else f"node-{digest}.tar")).write_text(name)
    with pytest.raises(PackagesMissing, match=r"must be one.*make packages"):
        record_prod(tmp_path)


def test_a_damaged_bundle_is_refused_before_it_is_uploaded(tmp_path: Path) -> None:
    (bundle,) = fill(tmp_path).iterdir()
    bundle.write_bytes(b"something else")
    with pytest.raises(PackagesMissing, match="is damaged"):
        record_prod(tmp_path)


def test_another_program_takes_the_cluster_as_a_component(packages: Path) -> None:
    """Its own VPC's outputs in place of the settings' ids, its own group let in, its own policy."""

    def program() -> dict[str, Any]:
        settings = {
            "target": "aws",
            "vpcId": "vpc-0000",
            "subnetIds": '["subnet-0","subnet-1","subnet-2"]',
            "subnetCidrs": '["10.1.1.0/24","10.1.2.0/24","10.1.3.0/24"]',
        }
        vpc = aws.ec2.Vpc("theirs", cidr_block="10.1.0.0/16")
        subnets = [
            aws.ec2.Subnet(f"their-{i}", vpc_id=vpc.id, cidr_block=f"10.1.{i}.0/24").id
            for i in (1, 2, 3)
        ]
        group = aws.ec2.SecurityGroup("their-app", vpc_id=vpc.id)
        args = RedisHaClusterArgs(
            plan=make_plan(parse(ClusterConfig, settings)),
            bundle=find_bundle(packages),
            network=ExistingNetwork(vpc.id, subnets),
            clients=[group.id],
        )
        cluster = RedisHaCluster("redis", args, pulumi.ResourceOptions(depends_on=[vpc]))
        return cluster.outputs()

    graph = record_program(program)
    assert set(graph.of_type("Vpc")) == {"theirs"}
    subnets = [
        graph.of_type("NetworkInterface")[f"{n}-interface"].inputs["subnetId"] for n in NODES
    ]
    assert subnets == ["their-1-id", "their-2-id", "their-3-id"]
    assert not graph.of_type("VpcEndpoint")
    rules = graph.of_type("SecurityGroupIngressRule")
    assert rules["in-clients-1-redis"].inputs["referencedSecurityGroupId"] == "their-app-id"
    assert "env" in graph.secret_outputs
    assert graph.outputs["bucket"] == "redis-ha-123456789012-us-east-1"
