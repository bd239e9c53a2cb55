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
from tests.unit.plugins import aws_samples as samples
from tests.unit.plugins.aws_samples import OPERATION, REGION, SAMPLES, TRUST, Resources
from toolchain.plugins.aws import instance
from toolchain.plugins.aws.plugin import PLUGIN
from toolchain.plugins.base.checking import complete, failures
from toolchain.plugins.base.errors import InitFailed, OperationFailed
from toolchain.plugins.base.resource import Made
from toolchain.plugins.base.values import Secret


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resources]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Resources()


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
    samples.machine(account)
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
    samples.machine(account)
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
    samples.network(account)
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
    samples.network(account)
    ec2 = boto3.client("ec2", REGION)
    group = ec2.describe_security_groups(GroupIds=[account.id("group")])["SecurityGroups"][0]
    assert (group["IpPermissions"], group["IpPermissionsEgress"]) == ([], [])


def test_a_write_only_text_is_in_aws_and_never_in_the_state(account: Resources) -> None:
    samples.secret(account)
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
    samples.topic(account)
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
    samples.bucket(account)
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
        # Of a machine that isn't managed yet nothing would be waited for.
        while not there.look("i-1"):
            pass
        if not works:
            with pytest.raises(InitFailed, match="its command failed"):
                kind.create(inputs, OPERATION)
            return
        made = kind.create(inputs, OPERATION)
        assert kind.diff(made.state, inputs) == {}
        assert kind.read(made.identity, made.state, OPERATION) == made
        kind.delete(made.identity, made.state, OPERATION)
        assert there.gates == {}
        assert there.early == []
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
