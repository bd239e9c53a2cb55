"""Samples of each type of the aws stand-in: what it needs, its inputs, a change in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3

from toolchain.plugins.aws.plugin import PLUGIN
from toolchain.plugins.base.checking import DEFAULTS, complete, failures
from toolchain.plugins.base.lifetime import Lifetime
from toolchain.plugins.base.resource import Made, Operation

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


def network(it: Resources) -> None:
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


def machine(it: Resources) -> None:
    network(it)
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


def bucket(it: Resources) -> None:
    it.make("bucket", "aws:s3/bucket:Bucket", bucket="kept", tags={"a": "b"})


def secret(it: Resources) -> None:
    it.make("secret", "aws:secretsmanager/secret:Secret", namePrefix="a/b-", recoveryWindowInDays=7)


def topic(it: Resources) -> None:
    it.make("topic", "aws:sns/topic:Topic", name="told", tags={"a": "b"})


def nothing(_it: Resources) -> None:
    pass


SAMPLES: list[tuple[Callable[[Resources], None], str, dict[str, Any], dict[str, Any]]] = [
    (
        nothing,
        "aws:ec2/vpc:Vpc",
        {"cidrBlock": "10.0.0.0/16", "tags": {"a": "1"}},
        {"enableDnsHostnames": True, "tags": {"b": "2"}},
    ),
    (
        network,
        "aws:ec2/subnet:Subnet",
        {"vpcId": "@vpc", "cidrBlock": "10.9.2.0/24", "availabilityZone": f"{REGION}b"},
        {"mapPublicIpOnLaunch": True},
    ),
    (network, "aws:ec2/routeTable:RouteTable", {"vpcId": "@vpc"}, {"tags": {"b": "2"}}),
    (
        network,
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"subnetId": "@subnet", "routeTableId": "@routes"},
        {},
    ),
    (
        network,
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
        network,
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
        network,
        "aws:ec2/securityGroup:SecurityGroup",
        {"vpcId": "@vpc", "description": "what for"},
        {"tags": {"b": "2"}},
    ),
    (
        network,
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
        network,
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        {"securityGroupId": "@group", "cidrIpv4": "10.0.0.0/8", "ipProtocol": "-1"},
        {"description": "all"},
    ),
    (
        nothing,
        "aws:kms/key:Key",
        {"enableKeyRotation": True, "deletionWindowInDays": 7, "tags": {"a": "1"}},
        {"description": "other", "tags": {"b": "2"}},
    ),
    (bucket, "aws:s3/bucket:Bucket", {"bucket": "second"}, {"tags": {"b": "2"}}),
    (
        bucket,
        "aws:s3/bucketVersioning:BucketVersioning",
        {"bucket": "@bucket", "versioningConfiguration": {"status": "Enabled"}},
        {"versioningConfiguration": {"status": "Suspended"}},
    ),
    (
        bucket,
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
        bucket,
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {"bucket": "@bucket", "blockPublicAcls": True, "blockPublicPolicy": True},
        {"ignorePublicAcls": True},
    ),
    (
        bucket,
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {"bucket": "@bucket", "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    ),
    (
        bucket,
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
        bucket,
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
        bucket,
        "aws:s3/bucketObjectv2:BucketObjectv2",
        {"bucket": "@bucket", "key": "packages/a", "content": "one", "tags": {"a": "1"}},
        {"content": "two"},
    ),
    (
        nothing,
        "aws:secretsmanager/secret:Secret",
        {"name": "a/b", "recoveryWindowInDays": 0, "tags": {"a": "1"}},
        {"description": "other", "tags": {"b": "2"}},
    ),
    (
        nothing,
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
        network,
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
        nothing,
        "aws:ebs/volume:Volume",
        {"availabilityZone": f"{REGION}a", "size": 10, "type": "gp3", "encrypted": True},
        {"size": 20, "tags": {"b": "2"}},
    ),
    (
        nothing,
        "aws:cloudwatch/logGroup:LogGroup",
        {"name": "/redis", "retentionInDays": 30, "tags": {"a": "1"}},
        {"retentionInDays": 60, "tags": {"b": "2"}},
    ),
    (
        topic,
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
        nothing,
        "aws:sns/topic:Topic",
        {"name": "told", "tags": {"a": "1"}},
        {"kmsMasterKeyId": "alias/x", "tags": {"b": "2"}},
    ),
]


def void(_made: object) -> None:
    """Make a preparation of one expression."""
