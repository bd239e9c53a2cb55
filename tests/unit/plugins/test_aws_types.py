"""Every type of the aws stand-in against a simulated account: made, unchanged, changed, gone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.aws.associations import associations
from toolchain.plugins.aws import instance
from toolchain.plugins.aws.plugin import PLUGIN
from toolchain.plugins.base.checking import DEFAULTS, complete, failures
from toolchain.plugins.base.errors import InitFailed, OperationFailed
from toolchain.plugins.base.lifetime import Lifetime
from toolchain.plugins.base.resource import Made, Operation
from toolchain.plugins.base.values import Secret

REGION = "eu-central-1"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
RULE = {**TRUST, "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}]}
BUCKET_RULE = {
    **TRUST,
    "Statement": [
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:DeleteBucket",
            "Resource": "arn:aws:s3:::kept",
        }
    ],
}
OPERATION = Operation("urn:test", Lifetime(), warn=print)


class Resources:
    """Resources of the stand-in, made as the engine would, by short names."""

    def __init__(self) -> None:
        self.types = PLUGIN.connect({"region": REGION})
        self.made: dict[str, tuple[str, Made]] = {}

    def inputs(self, token: str, given: dict[str, Any]) -> dict[str, Any]:
        kind = self.types[token]
        full = complete(kind.schema, given, olds={}, name="it", seed=b"")
        assert failures(kind.schema, full) == []
        full.pop(DEFAULTS)
        return full

    def make(self, name: str, token: str, /, **given: Any) -> Made:
        made = self.types[token].create(self.inputs(token, given), OPERATION)
        self.made[name] = (token, made)
        return made

    def id(self, name: str) -> str:
        return self.made[name][1].identity


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resources]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Resources()


def _network(it: Resources) -> None:
    it.make("vpc", "aws:ec2/vpc:Vpc", cidrBlock="10.9.0.0/16", enableDnsHostnames=True)
    it.make(
        "subnet",
        "aws:ec2/subnet:Subnet",
        vpcId=it.id("vpc"),
        cidrBlock="10.9.1.0/24",
        availabilityZone=f"{REGION}a",
    )
    for name in ("group", "peer"):
        it.make(
            name,
            "aws:ec2/securityGroup:SecurityGroup",
            name=name,
            vpcId=it.id("vpc"),
            tags={"Name": name},
        )
    it.make("routes", "aws:ec2/routeTable:RouteTable", vpcId=it.id("vpc"))


def _machine(it: Resources) -> None:
    _network(it)
    it.make(
        "interface",
        "aws:ec2/networkInterface:NetworkInterface",
        subnetId=it.id("subnet"),
        privateIps=["10.9.1.11"],
        securityGroups=[it.id("group")],
    )
    it.make(
        "volume",
        "aws:ebs/volume:Volume",
        availabilityZone=f"{REGION}a",
        size=10,
        type="gp3",
        iops=3000,
        throughput=125,
        encrypted=True,
    )
    it.make("role", "aws:iam/role:Role", assumeRolePolicy=json.dumps(TRUST), name="node")
    it.make("profile", "aws:iam/instanceProfile:InstanceProfile", name="node", role="node")
    image = boto3.client("ec2", REGION).describe_images()["Images"][0]["ImageId"]
    it.make(
        "instance",
        "aws:ec2/instance:Instance",
        ami=image,
        instanceType="c6in.xlarge",
        iamInstanceProfile="node",
        primaryNetworkInterface={"networkInterfaceId": it.id("interface")},
        metadataOptions={"httpTokens": "required", "httpEndpoint": "enabled"},
        rootBlockDevice={
            "encrypted": True,
            "volumeSize": 20,
            "volumeType": "gp3",
            "tags": {"Name": "root"},
        },
        userData="#!/bin/sh\n",
        userDataReplaceOnChange=True,
        monitoring=True,
        instanceInitiatedShutdownBehavior="stop",
        tags={"Name": "node"},
    )


def _bucket(it: Resources) -> None:
    it.make("bucket", "aws:s3/bucket:Bucket", bucket="kept", tags={"a": "b"})


def _secret(it: Resources) -> None:
    it.make("secret", "aws:secretsmanager/secret:Secret", namePrefix="a/b-", recoveryWindowInDays=7)


def _topic(it: Resources) -> None:
    it.make("topic", "aws:sns/topic:Topic", name="told", tags={"a": "b"})


def _nothing(_it: Resources) -> None:
    pass


SAMPLES: list[tuple[Callable[[Resources], None], str, dict[str, Any], dict[str, Any]]] = [
    (
        _nothing,
        "aws:ec2/vpc:Vpc",
        {"cidrBlock": "10.0.0.0/16", "tags": {"a": "1"}},
        {"enableDnsHostnames": True, "tags": {"b": "2"}},
    ),
    (
        _network,
        "aws:ec2/subnet:Subnet",
        {"vpcId": "@vpc", "cidrBlock": "10.9.2.0/24", "availabilityZone": f"{REGION}b"},
        {"mapPublicIpOnLaunch": True},
    ),
    (_network, "aws:ec2/routeTable:RouteTable", {"vpcId": "@vpc"}, {"tags": {"b": "2"}}),
    (
        _network,
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"subnetId": "@subnet", "routeTableId": "@routes"},
        {},
    ),
    (
        _network,
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {
            "vpcId": "@vpc",
            "serviceName": f"com.amazonaws.{REGION}.s3",
            "routeTableIds": ["@routes"],
            "policy": json.dumps(RULE),
        },
        {"routeTableIds": []},
    ),
    (
        _network,
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {
            "vpcId": "@vpc",
            "vpcEndpointType": "Interface",
            "serviceName": f"com.amazonaws.{REGION}.ssm",
            "subnetIds": ["@subnet"],
            "securityGroupIds": ["@group"],
            "privateDnsEnabled": True,
        },
        {"tags": {"b": "2"}},
    ),
    (
        _network,
        "aws:ec2/securityGroup:SecurityGroup",
        {"vpcId": "@vpc", "description": "what for"},
        {"tags": {"b": "2"}},
    ),
    (
        _network,
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {
            "securityGroupId": "@group",
            "referencedSecurityGroupId": "@peer",
            "ipProtocol": "tcp",
            "fromPort": 6379,
            "toPort": 6381,
            "description": "redis",
            "tags": {"a": "1"},
        },
        {"toPort": 6380},
    ),
    (
        _network,
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        {"securityGroupId": "@group", "cidrIpv4": "10.0.0.0/8", "ipProtocol": "-1"},
        {"description": "all"},
    ),
    (
        _nothing,
        "aws:kms/key:Key",
        {"enableKeyRotation": True, "deletionWindowInDays": 7, "tags": {"a": "1"}},
        {"description": "other", "tags": {"b": "2"}},
    ),
    (_bucket, "aws:s3/bucket:Bucket", {"bucket": "second"}, {"tags": {"b": "2"}}),
    (
        _bucket,
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": "@bucket", "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
    ),
    (
        _bucket,
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {
            "bucket": "@bucket",
            "rules": [
                {
                    "applyServerSideEncryptionByDefault": {
                        "sseAlgorithm": "aws:kms",
                        "kmsMasterKeyId": "arn:aws:kms:eu-central-1:123456789012:key/k",
                    },
                    "bucketKeyEnabled": True,
                }
            ],
        },
        {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
    ),
    (
        _bucket,
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {"bucket": "@bucket", "blockPublicAcls": True, "blockPublicPolicy": True},
        {"ignorePublicAcls": True},
    ),
    (
        _bucket,
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {"bucket": "@bucket", "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    ),
    (
        _bucket,
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {
            "bucket": "@bucket",
            "rules": [
                {
                    "id": "backups",
                    "status": "Enabled",
                    "filter": {"and": {"prefix": "backup/", "tags": {"left-over": "yes"}}},
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
            ],
        },
        {
            "rules": [
                {
                    "id": "backups",
                    "status": "Enabled",
                    "filter": {"prefix": "backup/"},
                    "expiration": {"days": 8},
                }
            ]
        },
    ),
    (
        _bucket,
        "aws:s3/bucketPolicy:BucketPolicy",
        {"bucket": "@bucket", "policy": json.dumps(BUCKET_RULE)},
        {"policy": json.dumps({**BUCKET_RULE, "Id": "other"})},
    ),
    (
        lambda it: void(
            it.make("bucket", "aws:s3/bucket:Bucket", bucket="locked", objectLockEnabled=True)
        ),
        "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
        {"bucket": "@bucket", "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 1}}},
        {"rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 2}}},
    ),
    (
        _bucket,
        "aws:s3/bucketObjectv2:BucketObjectv2",
        {"bucket": "@bucket", "key": "packages/a", "content": "one", "tags": {"a": "1"}},
        {"content": "two"},
    ),
    (
        _nothing,
        "aws:secretsmanager/secret:Secret",
        {"name": "a/b", "recoveryWindowInDays": 0, "tags": {"a": "1"}},
        {"description": "other", "tags": {"b": "2"}},
    ),
    (
        _nothing,
        "aws:iam/role:Role",
        {"assumeRolePolicy": json.dumps(TRUST, indent=2), "name": "r", "tags": {"a": "1"}},
        {"description": "other", "tags": {"b": "2"}},
    ),
    (
        lambda it: void(
            it.make("role", "aws:iam/role:Role", assumeRolePolicy=json.dumps(TRUST), name="r")
        ),
        "aws:iam/rolePolicy:RolePolicy",
        {"role": "@role", "name": "p", "policy": json.dumps(RULE)},
        {"policy": json.dumps({**RULE, "Id": "other"})},
    ),
    (
        lambda it: void(
            it.make("role", "aws:iam/role:Role", assumeRolePolicy=json.dumps(TRUST), name="r")
        ),
        "aws:iam/instanceProfile:InstanceProfile",
        {"role": "@role", "name": "p"},
        {"tags": {"b": "2"}},
    ),
    (
        _network,
        "aws:ec2/networkInterface:NetworkInterface",
        {
            "subnetId": "@subnet",
            "privateIps": ["10.9.1.12"],
            "securityGroups": ["@group"],
            "description": "node",
            "tags": {"a": "1"},
        },
        {"securityGroups": ["@group", "@peer"], "tags": {"b": "2"}},
    ),
    (
        _nothing,
        "aws:ebs/volume:Volume",
        {"availabilityZone": f"{REGION}a", "size": 10, "type": "gp3", "encrypted": True},
        {"size": 20, "tags": {"b": "2"}},
    ),
    (
        _nothing,
        "aws:cloudwatch/logGroup:LogGroup",
        {"name": "/redis", "retentionInDays": 30, "tags": {"a": "1"}},
        {"retentionInDays": 60, "tags": {"b": "2"}},
    ),
    (
        _topic,
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        {
            "name": "busy",
            "namespace": "AWS/EC2",
            "metricName": "CPUUtilization",
            "dimensions": {"InstanceId": "i-1"},
            "statistic": "Average",
            "period": 300,
            "evaluationPeriods": 3,
            "threshold": 0.5,
            "comparisonOperator": "GreaterThanOrEqualToThreshold",
            "alarmActions": ["@topic"],
            "okActions": ["@topic"],
            "tags": {"a": "1"},
        },
        {"threshold": 80, "tags": {"b": "2"}},
    ),
    (
        _nothing,
        "aws:sns/topic:Topic",
        {"name": "told", "tags": {"a": "1"}},
        {"kmsMasterKeyId": "alias/x", "tags": {"b": "2"}},
    ),
]


def void(_made: object) -> None:
    """Make a preparation of one expression."""


def _resolve(it: Resources, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _resolve(it, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(it, item) for item in value]
    return it.id(value[1:]) if isinstance(value, str) and value.startswith("@") else value


@pytest.mark.parametrize(
    ("prepare", "token", "given", "change"), SAMPLES, ids=[s[1].rpartition(":")[2] for s in SAMPLES]
)
def test_a_type_is_made_stays_changes_in_place_and_goes(
    account: Resources,
    prepare: Callable[[Resources], None],
    token: str,
    given: dict[str, Any],
    change: dict[str, Any],
) -> None:
    prepare(account)
    kind = account.types[token]
    inputs = account.inputs(token, _resolve(account, given))
    made = kind.create(inputs, OPERATION)
    assert kind.diff(made.state, inputs) == {}
    assert kind.read(made.identity, made.state, OPERATION) == made
    wanted = account.inputs(token, {**inputs, **_resolve(account, change)})
    found = kind.diff(made.state, wanted)
    assert {name: c.replaces for name, c in found.items()} == dict.fromkeys(change, False)
    state = kind.update(made.identity, made.state, wanted, OPERATION)
    assert kind.diff(state, wanted) == {}
    assert kind.read(made.identity, state, OPERATION) == Made(made.identity, state)
    kind.delete(made.identity, state, OPERATION)
    seen = kind.read(made.identity, state, OPERATION)
    gone = seen is None or (token.endswith("BucketVersioning") and kind.diff(seen.state, inputs))
    assert gone or token.endswith("BucketObjectLockConfiguration")
    kind.delete(made.identity, state, OPERATION)


def test_an_instance_restarts_for_a_new_type_and_is_replaced_for_new_user_data(
    account: Resources,
) -> None:
    _machine(account)
    token, made = account.made["instance"]
    kind = account.types[token]
    inputs = {n: made.state[n] for n in kind.schema.inputs if n in made.state}
    assert kind.read(made.identity, made.state, OPERATION) == made
    assert made.state["metadataOptions"]["httpTokens"] == "required"
    assert made.state["rootBlockDevice"]["encrypted"] is True
    wanted = {**inputs, "instanceType": "c6in.2xlarge", "tags": {"Name": "other"}}
    found = kind.diff(made.state, wanted)
    assert {n: c.replaces for n, c in found.items()} == {"instanceType": False, "tags": False}
    state = kind.update(made.identity, made.state, wanted, OPERATION)
    assert kind.diff(state, wanted) == {}
    assert state["instanceType"] == "c6in.2xlarge"
    assert state["instanceState"] == "running"
    assert kind.diff(state, {**wanted, "userData": "#!/bin/sh\n:"})["userData"].replaces
    kept = {**wanted, "userData": "#!/bin/sh\n:", "userDataReplaceOnChange": False}
    assert not kind.diff(state, kept)["userData"].replaces


def test_address_and_disk_outlive_their_instance(account: Resources) -> None:
    _machine(account)
    attached = account.make(
        "attachment",
        "aws:ec2/volumeAttachment:VolumeAttachment",
        deviceName="/dev/sdf",
        instanceId=account.id("instance"),
        volumeId=account.id("volume"),
        stopInstanceBeforeDetaching=True,
    )
    kind = account.types["aws:ec2/volumeAttachment:VolumeAttachment"]
    assert kind.read(attached.identity, attached.state, OPERATION) == attached
    kind.delete(attached.identity, attached.state, OPERATION)
    assert kind.read(attached.identity, attached.state, OPERATION) is None
    for name in ("instance", "volume", "interface"):
        token, made = account.made[name]
        kept = account.types[token].read(made.identity, made.state, OPERATION)
        assert kept is not None
        if name == "instance":
            assert kept.state["instanceState"] == "stopped"
            account.types[token].delete(made.identity, made.state, OPERATION)
            assert account.types[token].read(made.identity, made.state, OPERATION) is None


def test_the_default_group_is_emptied_and_left_to_its_vpc(account: Resources) -> None:
    _network(account)
    made = account.make(
        "default",
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        vpcId=account.id("vpc"),
        tags={"Name": "none"},
    )
    ec2 = boto3.client("ec2", REGION)
    group = ec2.describe_security_groups(GroupIds=[made.identity])["SecurityGroups"][0]
    assert (group["IpPermissions"], group["IpPermissionsEgress"]) == ([], [])
    kind = account.types["aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"]
    kind.delete(made.identity, made.state, OPERATION)
    assert kind.read(made.identity, made.state, OPERATION) == made


def test_a_group_begins_without_the_rule_that_aws_gives_it(account: Resources) -> None:
    _network(account)
    ec2 = boto3.client("ec2", REGION)
    group = ec2.describe_security_groups(GroupIds=[account.id("group")])["SecurityGroups"][0]
    assert (group["IpPermissions"], group["IpPermissionsEgress"]) == ([], [])


def test_a_write_only_text_is_in_aws_and_never_in_the_state(account: Resources) -> None:
    _secret(account)
    assert account.made["secret"][1].state["name"].startswith("a/b-")
    given = {"secretId": account.id("secret"), "secretStringWo": "hidden"}
    token = "aws:secretsmanager/secretVersion:SecretVersion"
    made = account.make("version", token, **given, secretStringWoVersion=1)
    kind = account.types[token]
    assert "hidden" not in str(made)
    secrets = boto3.client("secretsmanager", REGION)
    assert secrets.get_secret_value(SecretId=given["secretId"])["SecretString"] == "hidden"
    other = {**given, "secretStringWo": "other"}
    assert kind.diff(made.state, {**other, "secretStringWoVersion": 1}) == {}
    found = kind.diff(made.state, {**other, "secretStringWoVersion": 2})
    assert {n: c.replaces for n, c in found.items()} == {"secretStringWoVersion": True}
    newer = kind.create({**other, "secretStringWoVersion": 2}, OPERATION)
    kind.delete(made.identity, made.state, OPERATION)
    assert kind.read(newer.identity, newer.state, OPERATION) == newer
    assert kind.read(made.identity, made.state, OPERATION) is None
    assert secrets.get_secret_value(SecretId=given["secretId"])["SecretString"] == "other"


def test_an_alias_points_to_a_key_by_id_or_arn(account: Resources) -> None:
    key = account.make("key", "aws:kms/key:Key")
    token = "aws:kms/alias:Alias"
    made = account.make("alias", token, name="alias/data", targetKeyId=key.state["arn"])
    kind = account.types[token]
    assert kind.diff(made.state, {"name": "alias/data", "targetKeyId": key.identity}) == {}
    other = account.make("other", "aws:kms/key:Key")
    wanted = {"name": "alias/data", "targetKeyId": other.identity}
    state = kind.update(made.identity, made.state, wanted, OPERATION)
    assert state["targetKeyArn"] == other.state["arn"]
    kind.delete(made.identity, state, OPERATION)
    assert kind.read(made.identity, state, OPERATION) is None


def test_a_topic_s_policy_is_set_and_taken_back(account: Resources) -> None:
    _topic(account)
    topic = account.id("topic")
    policy = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Action": "sns:Publish"}]}
    policy["Statement"][0]["Resource"] = topic
    token = "aws:sns/topicPolicy:TopicPolicy"
    made = account.make("policy", token, arn=topic, policy=json.dumps(policy))
    kind = account.types[token]
    assert kind.read(made.identity, made.state, OPERATION) == made
    kind.delete(made.identity, made.state, OPERATION)
    seen = boto3.client("sns", REGION).get_topic_attributes(TopicArn=topic)["Attributes"]
    assert "ec2.amazonaws.com" not in seen["Policy"]


def test_an_object_comes_from_a_file(account: Resources, tmp_path: Path) -> None:
    _bucket(account)
    token = "aws:s3/bucketObjectv2:BucketObjectv2"
    (tmp_path / "a.deb").write_bytes(b"\x00\x01")
    source = {"path": str(tmp_path / "a.deb"), "hash": "h1"}
    made = account.make("object", token, bucket="kept", key="packages/a.deb", source=source)
    answer = boto3.client("s3", REGION).get_object(Bucket="kept", Key="packages/a.deb")
    assert answer["Body"].read() == b"\x00\x01"
    kind = account.types[token]
    same_file = {"bucket": "kept", "key": "packages/a.deb", "source": {**source, "path": "/else"}}
    assert kind.diff(made.state, same_file) == {}
    changed = {**same_file, "source": {**source, "hash": "h2"}}
    assert {n: c.replaces for n, c in kind.diff(made.state, changed).items()} == {"source": False}


def test_both_contents_of_an_object_or_none_are_refused(account: Resources) -> None:
    kind = account.types["aws:s3/bucketObjectv2:BucketObjectv2"]
    place = {"bucket": "b", "key": "k"}
    assert kind.check(place)
    assert kind.check({**place, "content": "a", "source": {"text": "a"}})
    assert not kind.check({**place, "content": "a"})


def test_functions_answer_who_where_and_which_image(account: Resources) -> None:
    ask = PLUGIN.functions({"region": REGION})
    assert ask["aws:index/getCallerIdentity:getCallerIdentity"]({})["accountId"] == "123456789012"
    assert ask["aws:index/getRegion:getRegion"]({})["name"] == REGION
    assert ask["aws:index/getPartition:getPartition"]({})["partition"] == "aws"
    find = ask["aws:ec2/getAmi:getAmi"]
    image = find({"owners": ["amazon"], "mostRecent": True})
    assert image["id"].startswith("ami-")
    with pytest.raises(OperationFailed, match="0 images match"):
        find({"filters": [{"name": "name", "values": ["none-such"]}]})
    boto3.client("ssm", REGION).put_parameter(Name="/a", Value="hidden", Type="SecureString")
    parameter = ask["aws:ssm/getParameter:getParameter"]({"name": "/a"})
    assert parameter["value"] == Secret("hidden")
    assert parameter["type"] == "SecureString"


def test_what_aws_refuses_is_said_in_its_words(account: Resources) -> None:
    token = "aws:ec2/subnet:Subnet"
    inputs = account.inputs(token, {"vpcId": "vpc-none", "cidrBlock": "10.0.0.0/24"})
    with pytest.raises(OperationFailed, match="vpc-none"):
        account.types[token].create(inputs, OPERATION)


def test_what_was_made_but_not_set_up_stays_in_the_state(account: Resources) -> None:
    token = "aws:iam/instanceProfile:InstanceProfile"
    inputs = account.inputs(token, {"name": "p", "role": "none-such"})
    with pytest.raises(InitFailed) as caught:
        account.types[token].create(inputs, OPERATION)
    assert caught.value.identity == "p"


def test_a_property_that_the_stand_in_does_not_know_is_refused(account: Resources) -> None:
    schema = account.types["aws:ec2/instance:Instance"].schema
    given = {"ami": "ami-1", "instanceType": "c6in.xlarge", "hibernation": True}
    found = failures(schema, complete(schema, given, olds={}, name="it", seed=b""))
    assert [(f.property, "does not support" in f.reason) for f in found] == [("hibernation", True)]


@pytest.mark.parametrize("works", [True, False])
def test_an_association_is_there_once_its_command_has_succeeded(
    account: Resources, works: bool
) -> None:
    token = "aws:ssm/association:Association"
    kind = account.types[token]
    given = {
        "name": "AWS-RunShellScript",
        "associationName": "ready",
        "targets": [{"key": "InstanceIds", "values": ["i-1"]}],
        "parameters": {"commands": "true"},
        "waitForSuccessTimeoutSeconds": 30,
    }
    inputs = account.inputs(token, given)
    with associations(lambda _one: works) as there:
        if not works:
            with pytest.raises(InitFailed, match="its command failed"):
                kind.create(inputs, OPERATION)
            return
        made = kind.create(inputs, OPERATION)
        assert kind.diff(made.state, inputs) == {}
        assert kind.read(made.identity, made.state, OPERATION) == made
        kind.delete(made.identity, made.state, OPERATION)
        assert there == {}
        assert kind.read(made.identity, made.state, OPERATION) is None


def test_an_instance_waits_until_ec2_knows_its_profile(
    account: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance, "_PROFILE_SECONDS", 0.5)
    asked = []
    ec2 = account.types["aws:ec2/instance:Instance"].api
    unknown = ClientError(
        {
            "Error": {
                "Code": "InvalidParameterValue",
                "Message": "Invalid IAM Instance Profile name",
            }
        },
        "RunInstances",
    )

    def refuse(**parameters: Any) -> None:
        asked.append(parameters)
        raise unknown

    monkeypatch.setattr(ec2, "run_instances", refuse)
    inputs = {"ami": "ami-1", "instanceType": "c6in.large", "iamInstanceProfile": "new"}
    full = account.inputs("aws:ec2/instance:Instance", inputs)
    with pytest.raises(OperationFailed, match="knows the profile"):
        account.types["aws:ec2/instance:Instance"].create(full, OPERATION)
    assert len(asked) > 1
