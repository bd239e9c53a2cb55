"""The `aws` provider: its configuration, its types and its functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from toolchain.plugins.aws.account import Account
from toolchain.plugins.aws.association import Association
from toolchain.plugins.aws.bucket import Bucket, BucketSetting
from toolchain.plugins.aws.bucket_settings import SETTINGS
from toolchain.plugins.aws.disk import NetworkInterface, Volume, VolumeAttachment
from toolchain.plugins.aws.functions import functions
from toolchain.plugins.aws.identity import InstanceProfile, Role, RolePolicy
from toolchain.plugins.aws.instance import Instance
from toolchain.plugins.aws.keys import Alias, Key
from toolchain.plugins.aws.network import (
    RouteTable,
    RouteTableAssociation,
    Subnet,
    Vpc,
    VpcEndpoint,
)
from toolchain.plugins.aws.objects import BucketObject
from toolchain.plugins.aws.secrets import Secret, SecretVersion
from toolchain.plugins.aws.security_group import (
    DefaultSecurityGroup,
    SecurityGroup,
    SecurityGroupRule,
)
from toolchain.plugins.aws.watch import LogGroup, MetricAlarm, Topic, TopicPolicy
from toolchain.plugins.base.resource import Plugin, ResourceType
from toolchain.plugins.base.schema import STRING, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONFIG: Final = Schema(
    "aws",
    inputs={
        "accessKey": STRING,
        "profile": STRING,
        "region": STRING,
        "secretKey": STRING,
        # The SDK always sends these two; boto3 asks for no validation anyway.
        "skipCredentialsValidation": STRING,
        "skipRegionValidation": STRING,
        "token": STRING,
    },
    partial=True,
)
_TYPES: Final = (
    Alias,
    Association,
    Bucket,
    BucketObject,
    DefaultSecurityGroup,
    Instance,
    InstanceProfile,
    Key,
    LogGroup,
    MetricAlarm,
    NetworkInterface,
    Role,
    RolePolicy,
    RouteTable,
    RouteTableAssociation,
    Secret,
    SecretVersion,
    SecurityGroup,
    Subnet,
    Topic,
    TopicPolicy,
    Volume,
    VolumeAttachment,
    Vpc,
    VpcEndpoint,
)


def _connect(config: Mapping[str, Any]) -> Mapping[str, ResourceType]:
    account = Account(config)
    types: list[ResourceType] = [
        *(kind(account) for kind in _TYPES),
        *(BucketSetting(account, setting) for setting in SETTINGS),
        *(SecurityGroupRule(account, direction=way) for way in ("ingress", "egress")),
    ]
    return {kind.schema.token: kind for kind in types}


PLUGIN: Final = Plugin(
    "aws", "7.51.1", _CONFIG, _connect, functions=lambda config: functions(Account(config))
)
