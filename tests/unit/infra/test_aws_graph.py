"""The graph of the prod stack: three zones, nothing public, everything encrypted, one at a time."""

import itertools
import re
from pathlib import Path

import pytest

from node.telemetry.cloudwatch import NAMESPACE
from node.telemetry.metrics import Reading, Share, samples
from tests.unit.infra.aws_stack import fill, record_prod
from tests.unit.infra.recorded_graph import Graph

NODES = ["redis-1", "redis-2", "redis-3"]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def graph(packages: Path) -> Graph:
    return record_prod(packages)


def test_one_private_subnet_and_one_machine_in_each_of_three_zones(graph: Graph) -> None:
    subnets = {s.inputs["availabilityZone"]: s for s in graph.of_type("Subnet").values()}
    assert sorted(subnets) == ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert not any(s.inputs["mapPublicIpOnLaunch"] for s in subnets.values())
    interfaces = [graph.of_type("NetworkInterface")[f"{n}-interface"].inputs for n in NODES]
    assert [i["privateIps"] for i in interfaces] == [["10.72.0.11"], ["10.72.1.11"], ["10.72.2.11"]]
    assert [i["subnetId"] for i in interfaces] == [f"subnet-{zone}-id" for zone in sorted(subnets)]
    volumes = [graph.of_type("Volume")[f"{n}-data"].inputs for n in NODES]
    assert [v["availabilityZone"] for v in volumes] == sorted(subnets)


def test_no_endpoint_can_take_a_nodes_address(graph: Graph) -> None:
    nodes = {graph.of_type("NetworkInterface")[f"{n}-interface"].urn for n in NODES}
    for way in graph.of_type("VpcEndpoint").values():
        if way.inputs["vpcEndpointType"] == "Interface":
            assert nodes <= set(way.dependencies)


def test_the_network_has_no_way_out_but_its_endpoints(graph: Graph) -> None:
    assert not graph.of_type("InternetGateway")
    assert not graph.of_type("NatGateway")
    assert "routes" not in graph.of_type("RouteTable")["routes"].inputs
    ways = graph.of_type("VpcEndpoint")
    kinds = {name: way.inputs["vpcEndpointType"] for name, way in ways.items()}
    assert kinds.pop("endpoint-s3") == "Gateway"
    assert set(kinds) == {
        f"endpoint-{s}" for s in ("secretsmanager", "ssm", "ssmmessages", "logs", "monitoring")
    }
    for name in kinds:
        assert ways[name].inputs["privateDnsEnabled"] is True
        assert len(ways[name].inputs["subnetIds"]) == 3
        assert ways[name].inputs["securityGroupIds"] == ["endpoints-group-id"]


def test_rules_name_groups_and_the_ports_of_the_cluster(graph: Graph) -> None:
    rules = graph.of_type("SecurityGroupIngressRule")
    opened = {
        name: (r.inputs["securityGroupId"], r.inputs["referencedSecurityGroupId"],
               r.inputs["fromPort"], r.inputs["toPort"])
        for name, r in rules.items()
    }  # fmt: skip
    nodes, clients = "nodes-group-id", "clients-group-id"
    assert opened == {
        "in-nodes-redis": (nodes, nodes, 6379, 6381),
        "in-nodes-sentinel": (nodes, nodes, 26379, 26381),
        "in-nodes-restore": (nodes, nodes, 6390, 6390),
        "in-clients-redis": (nodes, clients, 6379, 6381),
        "in-clients-sentinel": (nodes, clients, 26379, 26381),
        "in-endpoints": ("endpoints-group-id", nodes, 443, 443),
    }
    out = graph.of_type("SecurityGroupEgressRule").values()
    assert not any("cidrIpv4" in rule.inputs or "cidrIpv6" in rule.inputs for rule in out)
    assert [r.inputs["prefixListId"] for r in out if "prefixListId" in r.inputs] == ["pl-s3"]


def test_other_groups_are_let_in_by_setting(packages: Path) -> None:
    settings = {
        "allowedClientSecurityGroups": '["sg-0a"]',
        "allowedMonitoringSecurityGroups": '["sg-0b"]',
    }
    rules = record_prod(packages, **settings).of_type("SecurityGroupIngressRule")
    sources = {name: r.inputs["referencedSecurityGroupId"] for name, r in rules.items()}
    assert sources["in-clients-1-redis"] == sources["in-clients-1-sentinel"] == "sg-0a"
    # In no order: they are registered at once.
    assert {name for name, source in sources.items() if source == "sg-0b"} == {
        *("in-monitoring-backup-metrics", "in-monitoring-redis-metrics"),
        "in-monitoring-cluster-metrics",
    }
    assert (rules["in-monitoring-redis-metrics"].inputs["fromPort"]) == 9121
    assert (rules["in-monitoring-cluster-metrics"].inputs["fromPort"]) == 9122


def test_each_machine_is_the_guides_and_can_be_thrown_away(graph: Graph) -> None:
    for name in NODES:
        instance = graph.of_type("Instance")[f"{name}-instance"]
        inputs = instance.inputs
        assert inputs["instanceType"] == "c6in.2xlarge"
        assert inputs["primaryNetworkInterface"] == {"networkInterfaceId": f"{name}-interface-id"}
        assert inputs["metadataOptions"]["httpTokens"] == "required"
        assert inputs["userDataReplaceOnChange"] is True
        assert inputs["rootBlockDevice"]["encrypted"] is True
        assert not {"keyName", "associatePublicIpAddress"} & inputs.keys()
        assert instance.options.deleteBeforeReplace
        assert list(instance.options.ignoreChanges) == ["ami"]
        assert list(instance.options.replaceOnChanges) == ["instanceType"]
        attachment = graph.of_type("VolumeAttachment")[f"{name}-attachment"]
        assert attachment.inputs["stopInstanceBeforeDetaching"] is True
        assert attachment.options.deleteBeforeReplace


def test_the_data_outlives_the_machine_and_the_stack(graph: Graph) -> None:
    protected = [r.name for r in graph.registered if r.options.protect]
    kept_with_the_bucket = ["backup-identity", "backup-signing-key", "bucket", "key-data"]
    assert sorted(protected) == [*kept_with_the_bucket, *(f"{n}-data" for n in NODES)]
    kept = {r.name for r in graph.registered if r.options.retainOnDelete}
    assert kept == {
        f"bucket-{setting}" for setting in ("private", "owner", "policy", "versions", "encryption")
    }
    for name in NODES:
        volume = graph.of_type("Volume")[f"{name}-data"].inputs
        assert (volume["type"], volume["size"], volume["iops"], volume["throughput"]) == (
            *("gp3", 500, 6000, 500),
        )
        assert volume["encrypted"] is True


def test_an_identity_that_a_rotation_leaves_behind_can_go(packages: Path) -> None:
    """What is protected can't be dropped, and the last step of a rotation drops the old one."""
    for generation, used in (("1+2", ""), ("2+1", "-2"), ("2", "-2")):
        graph = record_prod(packages, backupKeyGeneration=generation)
        ours = {r.name for r in graph.registered if r.options.protect and "backup-" in r.name}
        assert ours == {f"backup-identity{used}", f"backup-signing-key{used}"}


def test_a_change_waits_at_each_machine_until_it_is_in_sync(graph: Graph) -> None:
    instances, gates = graph.of_type("Instance"), graph.of_type("Association")
    for before, name in itertools.pairwise(NODES):
        assert gates[f"{before}-ready"].urn in instances[f"{name}-instance"].dependencies
    for name in NODES:
        gate = gates[f"{name}-ready"]
        assert gate.inputs["targets"] == [{"key": "InstanceIds", "values": [f"{name}-instance-id"]}]
        assert gate.inputs["waitForSuccessTimeoutSeconds"] >= 900
        assert list(gate.options.replaceOnChanges) == ["targets", "#initerror"]
        assert gate.options.hooks.before_create
        attachment = graph.of_type("VolumeAttachment")[f"{name}-attachment"]
        assert attachment.urn in gate.dependencies


def test_a_machine_boots_only_once_all_that_it_needs_is_there(graph: Graph) -> None:
    needed = {
        each.urn
        for kind in ("VpcEndpoint", "BucketObjectv2", "RouteTableAssociation", "LogGroup",
                     "SecurityGroupIngressRule", "SecurityGroupEgressRule")
        for each in graph.of_type(kind).values()
    }  # fmt: skip
    own = {
        graph.of_type(kind)[f"redis-1-{name}"].urn
        for kind, name in (
            *(("SecretVersion", "secret-content"), ("RolePolicy", "rights-node")),
            ("RolePolicy", "rights-backup-worker"),
        )
    }
    assert needed | own <= set(graph.of_type("Instance")["redis-1-instance"].dependencies)


def test_the_bucket_is_closed_encrypted_versioned_and_forgets_in_time(graph: Graph) -> None:
    def of(kind: str) -> dict[str, object]:
        (only,) = graph.of_type(kind).values()
        return only.inputs

    assert of("Bucket")["bucket"] == "redis-ha-123456789012-us-east-1"
    assert of("Bucket")["forceDestroy"] is False
    assert of("BucketVersioning")["versioningConfiguration"] == {"status": "Enabled"}
    rules = of("BucketServerSideEncryptionConfiguration")["rules"]
    assert rules == [
        {
            "applyServerSideEncryptionByDefault": {
                "sseAlgorithm": "aws:kms",
                "kmsMasterKeyId": "arn:aws:kms:us-east-1:123456789012:key/key-data",
            },
            "bucketKeyEnabled": True,
        }
    ]
    assert of("BucketLifecycleConfiguration")["rules"] == [
        {
            "id": "backups",
            "status": "Enabled",
            "filter": {"and": {"prefix": "backup/", "tags": {"redis-ha-backup": "expired"}}},
            "expiration": {"days": 7},
        },
        {
            "id": "superseded",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "expiration": {"expiredObjectDeleteMarker": True},
            "noncurrentVersionExpiration": {"noncurrentDays": 1},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1},
        },
    ]
    assert not graph.of_type("BucketObjectLockConfiguration")
    # S3 answers a policy and a block of public access that come at once with a conflict.
    closed = graph.of_type("BucketPublicAccessBlock")["bucket-private"]
    assert closed.urn in graph.of_type("BucketPolicy")["bucket-policy"].dependencies
    (bundle,) = graph.of_type("BucketObjectv2").values()
    assert re.fullmatch("packages/node-[0-9a-f]{64}.tar", bundle.inputs["key"])
    assert bundle.inputs["sourceHash"] in bundle.inputs["key"]
    encryption = graph.of_type("BucketServerSideEncryptionConfiguration")["bucket-encryption"]
    assert encryption.urn in bundle.dependencies


def test_objects_can_be_locked(packages: Path) -> None:
    graph = record_prod(packages, backupObjectLockDays="5")
    # The provider would replace the bucket if this changed; the lock's own resource switches it on.
    for each in (graph, record_prod(packages)):
        assert "objectLockEnabled" not in each.of_type("Bucket")["bucket"].inputs
    (lock,) = graph.of_type("BucketObjectLockConfiguration").values()
    bundle = graph.of_type("BucketObjectv2")["bundle"]
    assert bundle.inputs["forceDestroy"] is True
    assert lock.urn in bundle.dependencies
    assert lock.inputs["rule"] == {"defaultRetention": {"mode": "GOVERNANCE", "days": 5}}


def test_every_machine_is_watched_and_somebody_is_told(graph: Graph, packages: Path) -> None:
    alarms = graph.of_type("MetricAlarm")
    for name in NODES:
        own = {a for a, made in alarms.items()
               if made.inputs["dimensions"] == {"InstanceId": f"{name}-instance-id"}}  # fmt: skip
        assert own == {
            f"{name}-{a}" for a in ("host-failed", "system-hangs", "disk-unreachable", "cpu-busy")
        }
        silent = alarms[f"{name}-unhealthy"].inputs
        assert silent["dimensions"] == {"Cluster": "redis-ha", "Node": name}
        assert (silent["comparisonOperator"], silent["threshold"], silent["treatMissingData"]) == (
            *("LessThanOrEqualToThreshold", 0, "breaching"),
        )
    overdue = alarms["backup-overdue"].inputs
    assert (overdue["metricName"], overdue["threshold"]) == ("SnapshotAgePercent", 100)
    assert overdue["treatMissingData"] == "breaching"
    assert overdue["dimensions"] == {"Cluster": "redis-ha"}
    assert "backup-overdue" not in record_prod(packages, backupEnabled="false").of_type(
        "MetricAlarm"
    )
    recovery = alarms["redis-1-host-failed"].inputs["alarmActions"]
    assert recovery == [
        *(
            "arn:aws:automate:us-east-1:ec2:recover",
            "arn:aws:sns:us-east-1:123456789012:alarm-topic",
        )
    ]
    target = "arn:aws:sns:us-east-1:210987654321:pager"
    told = record_prod(packages, alarmTarget=target)
    assert not told.of_type("Topic")
    assert all(target in a.inputs["alarmActions"] for a in told.of_type("MetricAlarm").values())


def test_everything_that_can_be_tagged_is(packages: Path) -> None:
    graph = record_prod(packages, tags='{"owner": "team-a", "redis-ha": "other"}')
    tagged = {r.name: r.inputs["tags"] for r in graph.registered if "tags" in r.inputs}
    # An object in S3 takes ten tags, the operator may set more.
    assert tagged.pop("bundle") == {"redis-ha": "redis-ha", "Name": "redis-ha-bundle"}
    assert len(tagged) > 50
    assert all(t["owner"] == "team-a" and t["redis-ha"] == "redis-ha" for t in tagged.values())


def test_the_alarms_are_on_metrics_that_the_nodes_send(graph: Graph) -> None:
    worker = {
        "redis_backup_working": 1.0,
        "redis_backup_last_snapshot_age_seconds": 1.0,
        "redis_backup_snapshot_age_limit_seconds": 2.0,
    }
    sent = {
        (s.name, *(("Cluster",) if s.whole else ("Cluster", "Node")))
        for s in samples(Reading(True, Share(1, 2), Share(1, 2), worker))
    }
    alarms = [a.inputs for a in graph.of_type("MetricAlarm").values()]
    own = [a for a in alarms if a["namespace"] == NAMESPACE]
    assert {(a["metricName"], *sorted(a["dimensions"])) for a in own} == sent
