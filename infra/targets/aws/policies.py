"""Every policy document of the stack: who may do what to which of its resources; pure.

No action is a wildcard where something is allowed. Where a resource is `*`, the service knows no
narrower one for that action (IAM's service authorization reference), or the document is attached
to the resource that it speaks of (keys).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.targets.aws.place import Place

Statement = dict[str, Any]

BACKUP_PREFIX, PACKAGE_PREFIX = "backup", "packages"
# How the worker marks an object that nothing needs; backup_worker.store.s3 sets it.
EXPIRED_TAG = ("redis-ha-backup", "expired")
METRIC_NAMESPACE = "RedisHA"

# What a machine asks of each service that it reaches through an interface endpoint.
SESSION_ACTIONS = (
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
MANAGED_ACTIONS = (
    "ssm:DescribeAssociation",
    "ssm:DescribeDocument",
    "ssm:GetDocument",
    "ssm:ListAssociations",
    "ssm:ListInstanceAssociations",
    "ssm:UpdateAssociationStatus",
    "ssm:UpdateInstanceAssociationStatus",
    "ssm:UpdateInstanceInformation",
)
LOG_ACTIONS = ("logs:CreateLogStream", "logs:PutLogEvents")
METRIC_ACTIONS = ("cloudwatch:PutMetricData",)
SECRET_ACTIONS = ("secretsmanager:GetSecretValue",)
ENDPOINT_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "secretsmanager": SECRET_ACTIONS,
    "ssm": MANAGED_ACTIONS,
    "ssmmessages": SESSION_ACTIONS,
    "logs": LOG_ACTIONS,
    "monitoring": METRIC_ACTIONS,
}

# The account's administrators: by name, so that a new power is never granted by a pattern.
KEY_ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)


@dataclass(frozen=True)
class NodeRights:
    """What one machine's role is for: ARNs of its secrets and of the keys."""

    secrets: tuple[str, ...]
    secrets_key: str
    data_key: str


def document(*statements: Statement) -> str:
    """Write a policy, the same text for the same statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, sort_keys=True)


def trust_policy() -> str:
    """Let EC2 machines take the role."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    )


def node_policy(place: Place, rights: NodeRights) -> str:
    """Let a machine read its secrets and packages, write its log and metrics, and be managed."""
    return document(
        _allow("Secrets", SECRET_ACTIONS, rights.secrets),
        _use_key(place, "SecretsKey", ("kms:Decrypt",), rights.secrets_key, "secretsmanager"),
        _allow("Packages", ("s3:GetObject",), (f"{place.bucket_arn}/{PACKAGE_PREFIX}/*",)),
        _allow("Log", LOG_ACTIONS, (place.log_group_arn, f"{place.log_group_arn}:*")),
        {
            **_allow("Metrics", METRIC_ACTIONS, ("*",)),
            "Condition": {"StringEquals": {"cloudwatch:namespace": METRIC_NAMESPACE}},
        },
        _allow("Managed", (*MANAGED_ACTIONS, *SESSION_ACTIONS), ("*",)),
    )


def worker_policy(place: Place, rights: NodeRights) -> str:
    """Let the backup worker write, read and mark below its prefix; deleting is the lifecycle's.

    `IfExists`: asking for an object that isn't there names no prefix, and is answered 404 only to
    those who may list; without it the worker couldn't tell "not there" from "not allowed".
    """
    objects = (f"{place.bucket_arn}/{BACKUP_PREFIX}/*",)
    name, value = EXPIRED_TAG
    return document(
        _allow("Objects", ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"), objects),
        {
            **_allow("Marks", ("s3:PutObjectTagging",), objects),
            "Condition": {"StringEquals": {f"s3:RequestObjectTag/{name}": value}},
        },
        {
            **_allow("Listing", ("s3:ListBucket",), (place.bucket_arn,)),
            "Condition": {"StringLikeIfExists": {"s3:prefix": f"{BACKUP_PREFIX}/*"}},
        },
        _use_key(place, "DataKey", ("kms:Decrypt", "kms:GenerateDataKey"), rights.data_key, "s3"),
    )


def data_key_policy(place: Place) -> str:
    """Leave the key of volumes and bucket to the account's own policies."""
    return document(_administration(place))


def secrets_key_policy(place: Place) -> str:
    """As the data key; the log service and alarms use this one by themselves."""
    context = {"kms:EncryptionContext:aws:logs:arn": place.log_group_arn}
    return document(
        _administration(place),
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": place.service("logs")},
            "Action": [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            "Resource": "*",
            "Condition": {"ArnEquals": context},
        },
        {
            "Sid": "Alarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": place.account}},
        },
    )


def bucket_policy(place: Place) -> str:
    """Refuse the bucket to whoever doesn't use TLS."""
    return document(
        {
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [place.bucket_arn, f"{place.bucket_arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )


def store_endpoint_policy(place: Place) -> str:
    """Let nothing through the S3 endpoint but what the nodes do with their own bucket."""
    return document(
        {
            **_allow(
                "OwnBucket",
                (
                    "s3:AbortMultipartUpload",
                    "s3:GetObject",
                    "s3:ListBucket",
                    "s3:PutObject",
                    "s3:PutObjectTagging",
                ),
                (place.bucket_arn, f"{place.bucket_arn}/*"),
            ),
            "Principal": "*",
        }
    )


def endpoint_policy(place: Place, service: str) -> str:
    """Let through a service's endpoint what the nodes ask of it, in their own account."""
    return document(
        {
            **_allow("OwnAccount", ENDPOINT_ACTIONS[service], ("*",)),
            "Principal": "*",
            "Condition": {"StringEquals": {"aws:PrincipalAccount": place.account}},
        }
    )


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _use_key(place: Place, sid: str, actions: Sequence[str], key: str, service: str) -> Statement:
    """Let a key be used, and only by the service that asks on the role's behalf."""
    return {
        **_allow(sid, actions, (key,)),
        "Condition": {"StringEquals": {"kms:ViaService": place.service(service)}},
    }


def _administration(place: Place) -> Statement:
    return {
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{place.account}:root"},
        "Action": list(KEY_ADMINISTRATION),
        "Resource": "*",
    }
