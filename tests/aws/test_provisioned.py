"""The real engine provisions the prod stack; AWS's own API then tells what is there.

One stack for all tests: they run in the order of the file, towards its end it is destroyed.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.provisioned import REGION, Account, Prod, simulated_account
from tests.unit.infra.iam_evaluator import allowed

pytestmark = pytest.mark.timeout(600)
Walk = Callable[..., list[dict[str, Any]]]
# Data nodes, sentinels, a restore's scratch server, AWS's endpoints.
OPEN_PORTS = {(6379, 6381), (26379, 26381), (6390, 6390), (443, 443)}
KEPT_TYPES = {
    "aws:ebs/volume:Volume",
    "aws:kms/key:Key",
    "aws:s3/bucket:Bucket",
}


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with simulated_account() as made:
        yield made


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory, account: Account) -> Prod:
    made = Prod.create(tmp_path_factory.mktemp("prod"), account)
    assert "PRIVATE KEY" not in made.preview()
    assert account.client("s3").list_buckets()["Buckets"] == []
    changes = made.up()
    assert set(changes) == {"create"}
    return made


@pytest.fixture(scope="module")
def of(prod: Prod, account: Account) -> Walk:
    """List what AWS describes, of the stack only: by its tag, whatever the state says."""

    def walk(service: str, call: str, member: str, **arguments: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = getattr(account.client(service), call)(**arguments)[member]
        return [each for each in found if "redis-ha" in tags_of(each)]

    return walk


def tags_of(described: dict[str, Any]) -> dict[str, str]:
    """Read the tags of anything that EC2 describes."""
    listed = described.get("Tags") or described.get("TagSet") or []
    return {tag["Key"]: tag["Value"] for tag in listed}


def instances(account: Account) -> list[dict[str, Any]]:
    """Describe the machines that run."""
    filters = [{"Name": "instance-state-name", "Values": ["running"]}]
    answer = account.client("ec2").describe_instances(Filters=filters)
    return [one for reservation in answer["Reservations"] for one in reservation["Instances"]]


def bucket_of(account: Account) -> str:
    """Name the one bucket."""
    (bucket,) = account.client("s3").list_buckets()["Buckets"]
    return str(bucket["Name"])


def test_a_second_up_changes_nothing(prod: Prod) -> None:
    assert set(prod.up()) == {"same"}


def test_a_refresh_finds_what_was_made(prod: Prod) -> None:
    assert set(prod.refresh()) == {"same"}
    assert set(prod.up()) == {"same"}


def test_three_private_subnets_in_three_zones_and_no_way_out(of: Walk, account: Account) -> None:
    (vpc,) = of("ec2", "describe_vpcs", "Vpcs")
    subnets = of("ec2", "describe_subnets", "Subnets")
    assert {s["AvailabilityZone"] for s in subnets} == {f"{REGION}{z}" for z in "abc"}
    assert {s["VpcId"] for s in subnets} == {vpc["VpcId"]}
    assert not any(s["MapPublicIpOnLaunch"] for s in subnets)
    ec2 = account.client("ec2")
    of_vpc = [{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
    assert ec2.describe_internet_gateways(Filters=of_vpc)["InternetGateways"] == []
    assert ec2.describe_nat_gateways()["NatGateways"] == []
    assert ec2.describe_addresses()["Addresses"] == []
    (table,) = of("ec2", "describe_route_tables", "RouteTables")
    linked = {link.get("SubnetId") for link in table["Associations"]}
    assert linked == {s["SubnetId"] for s in subnets}
    assert "0.0.0.0/0" not in {r.get("DestinationCidrBlock") for r in table["Routes"]}


def test_endpoints_let_the_nodes_reach_what_they_need(of: Walk) -> None:
    endpoints = of("ec2", "describe_vpc_endpoints", "VpcEndpoints")
    kinds = {e["ServiceName"].rpartition(".")[2]: e["VpcEndpointType"] for e in endpoints}
    assert kinds.pop("s3") == "Gateway"
    assert set(kinds) >= {"secretsmanager", "ssm", "ssmmessages", "logs", "monitoring"}
    assert set(kinds.values()) == {"Interface"}
    interfaces = [e for e in endpoints if e["VpcEndpointType"] == "Interface"]
    assert all(len(e["SubnetIds"]) == 3 and e["PrivateDnsEnabled"] for e in interfaces)
    statements = [s for e in endpoints for s in json.loads(e["PolicyDocument"])["Statement"]]
    assert len(statements) >= len(endpoints)
    assert not any("*" in statement["Action"] for statement in statements)


def test_rules_name_groups_and_the_cluster_s_ports_only(of: Walk, account: Account) -> None:
    groups = {g["GroupId"]: g for g in of("ec2", "describe_security_groups", "SecurityGroups")}
    rules = [
        rule
        for rule in account.client("ec2").describe_security_group_rules()["SecurityGroupRules"]
        if rule["GroupId"] in groups
    ]
    inward = [rule for rule in rules if not rule["IsEgress"]]
    assert inward
    assert all(rule["ReferencedGroupInfo"]["GroupId"] in groups for rule in inward)
    assert not any(rule.get("CidrIpv4") or rule.get("CidrIpv6") for rule in rules)
    assert {rule["IpProtocol"] for rule in rules} == {"tcp"}
    ports = {(rule["FromPort"], rule["ToPort"]) for rule in inward}
    assert ports == OPEN_PORTS
    (default,) = (g for g in groups.values() if g["GroupName"] == "default")
    assert default["IpPermissions"] == default["IpPermissionsEgress"] == []


def test_machines_are_private_watched_and_ask_metadata_with_a_token(account: Account) -> None:
    made = instances(account)
    assert len(made) == 3
    for machine in made:
        options = machine["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
        assert machine["InstanceType"] == "c6in.2xlarge"
        assert machine["Monitoring"]["State"] == "enabled"
        assert not machine.get("PublicIpAddress")
        assert not machine.get("KeyName")
        assert machine["ImageId"] == "ami-0debian"


def test_addresses_are_fixed_and_on_interfaces_of_their_own(of: Walk, account: Account) -> None:
    interfaces = of("ec2", "describe_network_interfaces", "NetworkInterfaces")
    addresses = {i["PrivateIpAddress"] for i in interfaces}
    assert {address.rpartition(".")[2] for address in addresses} == {"11"}
    assert len(addresses) == 3
    at = {i["Attachment"]["InstanceId"]: i for i in interfaces}
    assert set(at) == {m["InstanceId"] for m in instances(account)}
    assert not any(i["Attachment"]["DeleteOnTermination"] for i in interfaces)
    assert {i["AvailabilityZone"] for i in interfaces} == {f"{REGION}{z}" for z in "abc"}
    assert not any(i.get("Association") for i in interfaces)


def test_every_disk_is_encrypted_and_the_data_s_are_separate(of: Walk, prod: Prod) -> None:
    volumes = of("ec2", "describe_volumes", "Volumes")
    assert len(volumes) == 6
    assert all(v["Encrypted"] and v["VolumeType"] == "gp3" for v in volumes)
    assert {v["KmsKeyId"] for v in volumes} == {key_of(prod, "data")}
    data = [v for v in volumes if v["Size"] == 500]
    assert [(v["Iops"], v["Throughput"]) for v in data] == [(6000, 500)] * 3


def key_of(prod: Prod, purpose: str) -> str:
    """Give the ARN of a key, from the state."""
    (key,) = (r for r in prod.resources() if r["urn"].endswith(f"::key-{purpose}"))
    return str(key["outputs"]["arn"])


def test_keys_turn_each_year(prod: Prod, account: Account) -> None:
    kms = account.client("kms")
    for purpose in ("data", "secrets"):
        status = kms.get_key_rotation_status(KeyId=key_of(prod, purpose))
        assert status["KeyRotationEnabled"]


def test_the_bucket_is_closed_encrypted_versioned_and_forgets(prod: Prod, account: Account) -> None:
    _assert_closed(prod, account)
    rules = account.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket_of(account))
    backups, superseded = sorted(rules["Rules"], key=lambda rule: str(rule["ID"]))
    assert backups["Expiration"] == {"Days": 7}
    marked = [{"Key": "redis-ha-backup", "Value": "expired"}]
    assert backups["Filter"] == {"And": {"Prefix": "backup/", "Tags": marked}}
    assert superseded["Filter"] == {"Prefix": ""}
    assert superseded["Expiration"] == {"ExpiredObjectDeleteMarker": True}
    assert superseded["NoncurrentVersionExpiration"]["NoncurrentDays"] == 1
    assert superseded["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 1


def _assert_closed(prod: Prod, account: Account) -> None:
    s3, bucket = account.client("s3"), bucket_of(account)
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    default = rule["ApplyServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_of(prod, "data")}
    owner = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_secrets_are_under_their_own_key_and_nowhere_else(prod: Prod, account: Account) -> None:
    manager = account.client("secretsmanager")
    secrets = manager.list_secrets()["SecretList"]
    assert len(secrets) == 4
    assert {s["KmsKeyId"] for s in secrets} == {key_of(prod, "secrets")}
    texts = [manager.get_secret_value(SecretId=s["ARN"])["SecretString"] for s in secrets]
    assert all(json.loads(text) for text in texts)
    private = [line for text in texts for line in text.split("\\n") if "PRIVATE KEY" in line]
    assert private
    kept = (prod.folder.parent / "state").rglob("*.json*")
    stored = "".join(file.read_text() for file in kept if file.is_file())
    assert "PRIVATE KEY" not in stored
    for machine in instances(account):
        seen = account.client("ec2").describe_instance_attribute(
            InstanceId=machine["InstanceId"], Attribute="userData"
        )
        assert "PRIVATE" not in str(seen)


def test_each_machine_s_role_writes_backups_and_no_more(prod: Prod, account: Account) -> None:
    iam, bucket = account.client("iam"), bucket_of(account)
    roles = [r["RoleName"] for r in iam.list_roles()["Roles"]]
    assert len(roles) == 3
    for role in roles:
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        documents = [
            json.dumps(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
            for name in names
        ]
        assert set(names) >= {"backup-worker", "node"}
        mine = f"arn:aws:s3:::{bucket}"
        assert allowed(documents, "s3:PutObject", f"{mine}/backup/snapshots/1")
        assert allowed(documents, "s3:GetObject", f"{mine}/backup/snapshots/1")
        assert not allowed(documents, "s3:DeleteObject", f"{mine}/backup/snapshots/1")
        assert not allowed(documents, "s3:DeleteObjectVersion", f"{mine}/backup/snapshots/1")
        mark = {"s3:RequestObjectTag/redis-ha-backup": "expired"}
        assert allowed(documents, "s3:PutObjectTagging", f"{mine}/backup/snapshots/1", mark)
        assert not allowed(documents, "s3:PutObjectTagging", f"{mine}/packages/1", mark)
        assert not allowed(documents, "s3:GetObject", f"{mine}/other/1")
        assert not allowed(documents, "s3:ListBucket", mine, {"s3:prefix": "other/"})


def test_a_machine_s_secret_is_read_by_that_machine_alone(account: Account) -> None:
    iam = account.client("iam")
    secrets = account.client("secretsmanager").list_secrets()["SecretList"]
    may: dict[str, set[str]] = {}
    for role in iam.list_roles()["Roles"]:
        name = role["RoleName"]
        found = iam.get_role_policy(RoleName=name, PolicyName="node")["PolicyDocument"]
        may[name] = {
            s["Name"]
            for s in secrets
            if allowed([json.dumps(found)], "secretsmanager:GetSecretValue", s["ARN"])
        }
    shared = set.intersection(*may.values())
    own = [names - shared for names in may.values()]
    assert len(shared) == 1
    assert [len(names) for names in own] == [1, 1, 1]
    assert len(set.union(*own)) == 3


def test_alarms_and_logs_watch_every_machine(prod: Prod, account: Account) -> None:
    alarms = account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    on = {
        dimension["Value"]
        for alarm in alarms
        for dimension in alarm["Dimensions"]
        if dimension["Name"] == "InstanceId"
    }
    assert on >= {m["InstanceId"] for m in instances(account)}
    (topic,) = account.client("sns").list_topics()["Topics"]
    assert all(topic["TopicArn"] in alarm["AlarmActions"] for alarm in alarms)
    (group,) = account.client("logs").describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 30
    assert group["kmsKeyId"] == key_of(prod, "secrets")


def test_what_was_changed_behind_its_back_is_found_and_mended(prod: Prod, account: Account) -> None:
    s3, bucket = account.client("s3"), bucket_of(account)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert prod.refresh()["update"] == 1
    assert prod.up()["update"] == 1
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_another_instance_type_replaces_machines_and_keeps_disks_and_addresses(
    prod: Prod, of: Walk, account: Account
) -> None:
    """One after the other: a machine that isn't ready is waited for again by each `up`.

    Nor is any gate made before its machine can be asked: that one would have opened at once.
    """
    before = {m["InstanceId"] for m in instances(account)}
    disks, addresses = _kept(of)
    prod.set(instanceType="c6in.4xlarge")
    assert prod.preview().count("+-aws:ec2/instance:Instance: (replace)") == 3
    account.failing.add("redis-ha-redis-2-ready")
    for _ in range(2):
        assert "redis-2-ready" in prod.failing_up()
        assert _types(account) == ["c6in.4xlarge", "c6in.4xlarge", "c6in.2xlarge"]
    account.failing.clear()
    prod.up()
    assert _types(account) == ["c6in.4xlarge"] * 3
    after = instances(account)
    assert not before & {m["InstanceId"] for m in after}
    assert account.associations.early == []
    assert len(account.associations.looks) == 6
    assert _kept(of) == (disks, addresses)
    attached = {a["InstanceId"] for v in _data_disks(of) for a in v["Attachments"]}
    assert attached == {m["InstanceId"] for m in after}
    assert set(prod.up()) == {"same"}


def _types(account: Account) -> list[str]:
    """Give the machines' types, in the order in which they change."""
    types = {m["PrivateIpAddress"]: str(m["InstanceType"]) for m in instances(account)}
    return [types[address] for address in sorted(types)]


def _data_disks(of: Walk) -> list[dict[str, Any]]:
    return [v for v in of("ec2", "describe_volumes", "Volumes") if v["Size"] == 500]


def _kept(of: Walk) -> tuple[set[str], set[tuple[str, str]]]:
    interfaces = of("ec2", "describe_network_interfaces", "NetworkInterfaces")
    return (
        {v["VolumeId"] for v in _data_disks(of)},
        {(i["NetworkInterfaceId"], i["PrivateIpAddress"]) for i in interfaces},
    )


def test_destroy_leaves_the_data_and_its_key_and_nothing_else(
    prod: Prod, of: Walk, account: Account
) -> None:
    prod.destroy()
    left_in_state = prod.resources()
    ours = [r for r in left_in_state if r["type"].startswith("aws:")]
    assert {r["type"] for r in ours} == KEPT_TYPES
    # Without these nobody could read what is in the bucket.
    names = {r["urn"].rpartition("::")[2] for r in left_in_state}
    assert names >= {"backup-identity", "backup-signing-key"}
    assert not any(name.startswith("password-") for name in names)
    assert instances(account) == []
    assert len(_data_disks(of)) == len(of("ec2", "describe_volumes", "Volumes")) == 3
    assert bucket_of(account)
    for call, member in (
        ("describe_vpcs", "Vpcs"),
        ("describe_subnets", "Subnets"),
        ("describe_security_groups", "SecurityGroups"),
        ("describe_network_interfaces", "NetworkInterfaces"),
        ("describe_vpc_endpoints", "VpcEndpoints"),
        ("describe_route_tables", "RouteTables"),
    ):
        # moto goes on listing endpoints that it has deleted
        left = [each for each in of("ec2", call, member) if each.get("State") != "deleted"]
        assert left == []
    assert account.client("iam").list_roles()["Roles"] == []
    assert account.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert account.client("sns").list_topics()["Topics"] == []
    assert account.client("logs").describe_log_groups()["logGroups"] == []
    assert account.client("secretsmanager").list_secrets()["SecretList"] == []
    assert account.associations.gates == {}


def test_the_bucket_that_stays_is_as_closed_as_before_and_forgets_nothing(
    prod: Prod, account: Account
) -> None:
    _assert_closed(prod, account)
    s3 = account.client("s3")
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket_of(account))


def test_an_up_after_that_takes_the_data_on_again(prod: Prod, of: Walk, account: Account) -> None:
    disks = {v["VolumeId"] for v in _data_disks(of)}
    prod.up()
    assert {v["VolumeId"] for v in _data_disks(of)} == disks
    attached = {a["InstanceId"] for v in _data_disks(of) for a in v["Attachments"]}
    assert attached == {m["InstanceId"] for m in instances(account)}
    assert set(prod.up()) == {"same"}
