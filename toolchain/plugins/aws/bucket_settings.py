"""The table of a bucket's settings."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from toolchain.plugins.aws.bucket import Setting
from toolchain.plugins.aws.shapes import (
    DOCUMENT,
    FLEXIBLE,
    TAGS,
    camel,
    from_aws,
    names,
    pascal,
    tag_list,
    tag_state,
    to_aws,
)
from toolchain.plugins.base.schema import (
    BOOLEAN,
    INTEGER,
    STRING,
    Field,
    Kind,
    Schema,
    block,
    blocks,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_SWITCH: Final = BOOLEAN.but(replaces=False)
_NUMBER: Final = INTEGER.but(replaces=False)
_PUBLIC: Final = names("blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets")


def _schema(name: str, inputs: Mapping[str, Field]) -> Schema:
    bucket = STRING.but(required=True)
    token = f"aws:s3/{name[0].lower()}{name[1:]}:{name}"
    return Schema(token, inputs={"bucket": bucket, **inputs}, partial=True)


def _part(**fields: Field) -> Field:
    return block(fields).but(replaces=False)


def _suspend(api: Any, bucket: str) -> None:
    # A bucket with object lock keeps its versions: AWS refuses, as the official provider expects.
    with suppress(ClientError):
        api.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def _unlock(api: Any, bucket: str) -> None:
    api.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}
    )


def _owned(value: Any) -> dict[str, Any]:
    return {"rule": camel(value["Rules"][0])}


def _rules(value: Any) -> dict[str, Any]:
    return {"rules": camel(value["Rules"])}


_VERSIONING = Setting(
    _schema(
        "BucketVersioning",
        {"versioningConfiguration": _part(status=FLEXIBLE.but(required=True)).but(required=True)},
    ),
    call="bucket_versioning",
    parameter="VersioningConfiguration",
    pack=lambda inputs: pascal(inputs["versioningConfiguration"]),
    unpack=lambda answer: {"versioningConfiguration": {"status": answer.get("Status")}},
    away=_suspend,
)
_ENCRYPTION = Setting(
    _schema(
        "BucketServerSideEncryptionConfiguration",
        {
            "rules": blocks(
                {
                    "applyServerSideEncryptionByDefault": _part(
                        kmsMasterKeyId=FLEXIBLE, sseAlgorithm=FLEXIBLE.but(required=True)
                    ),
                    "bucketKeyEnabled": _SWITCH,
                }
            ).but(replaces=False, required=True)
        },
    ),
    call="bucket_encryption",
    parameter="ServerSideEncryptionConfiguration",
    pack=lambda inputs: {"Rules": pascal(inputs["rules"])},
    unpack=_rules,
)
_PRIVACY = Setting(
    _schema("BucketPublicAccessBlock", {name: _SWITCH.but(default=False) for name in _PUBLIC}),
    call="public_access_block",
    parameter="PublicAccessBlockConfiguration",
    pack=lambda inputs: to_aws(inputs, _PUBLIC),
    unpack=lambda value: from_aws(value, _PUBLIC),
)
_OWNERSHIP = Setting(
    _schema(
        "BucketOwnershipControls",
        {"rule": _part(objectOwnership=FLEXIBLE.but(required=True)).but(required=True)},
    ),
    call="bucket_ownership_controls",
    parameter="OwnershipControls",
    pack=lambda inputs: {"Rules": [pascal(inputs["rule"])]},
    unpack=_owned,
)


_CONDITIONS: Final = _part(prefix=FLEXIBLE, tags=TAGS)


def _to_rules(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"Rules": [{**pascal(rule), **_to_filter(rule)} for rule in inputs["rules"]]}


def _to_filter(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Write a filter of several conditions; a tag's name is no name of ours to change."""
    both = rule.get("filter", {}).get("and")
    if not both:
        return {}
    tags = tag_list(both.get("tags"))
    return {"Filter": {"And": {**to_aws(both, names("prefix")), "Tags": tags}}}


def _from_rules(value: Any) -> dict[str, Any]:
    return {"rules": [{**camel(rule), **_from_filter(rule)} for rule in value["Rules"]]}


def _from_filter(rule: Mapping[str, Any]) -> dict[str, Any]:
    both = rule.get("Filter", {}).get("And")
    if not both:
        return {}
    tags = tag_state(both.get("Tags"))["tags"]
    return {"filter": {"and": {**from_aws(both, names("prefix")), "tags": tags}}}


_LIFECYCLE = Setting(
    _schema(
        "BucketLifecycleConfiguration",
        {
            "rules": Field(
                Kind.LIST,
                replaces=False,
                required=True,
                element=block(
                    {
                        "abortIncompleteMultipartUpload": _part(daysAfterInitiation=_NUMBER),
                        "expiration": _part(days=_NUMBER, expiredObjectDeleteMarker=_SWITCH),
                        "filter": _part(prefix=FLEXIBLE, **{"and": _CONDITIONS}),
                        "id": FLEXIBLE.but(required=True),
                        "noncurrentVersionExpiration": _part(noncurrentDays=_NUMBER),
                        "status": FLEXIBLE.but(required=True),
                    }
                ),
            )
        },
    ),
    call="bucket_lifecycle_configuration",
    parameter="LifecycleConfiguration",
    pack=_to_rules,
    unpack=_from_rules,
    away=lambda api, bucket: api.delete_bucket_lifecycle(Bucket=bucket),
)
_POLICY = Setting(
    _schema("BucketPolicy", {"policy": DOCUMENT.but(required=True)}),
    call="bucket_policy",
    parameter="Policy",
    pack=lambda inputs: inputs["policy"],
    unpack=lambda value: {"policy": value},
)
_LOCK = Setting(
    _schema(
        "BucketObjectLockConfiguration",
        {
            "objectLockEnabled": STRING.but(default="Enabled"),
            "rule": _part(defaultRetention=_part(days=_NUMBER, mode=FLEXIBLE, years=_NUMBER)),
        },
    ),
    call="object_lock_configuration",
    parameter="ObjectLockConfiguration",
    pack=lambda inputs: pascal(
        {k: inputs[k] for k in ("objectLockEnabled", "rule") if inputs.get(k)}
    ),
    unpack=camel,
    away=_unlock,
)
SETTINGS: Final = (
    _VERSIONING,
    _ENCRYPTION,
    _PRIVACY,
    _OWNERSHIP,
    _LIFECYCLE,
    _POLICY,
    _LOCK,
)
