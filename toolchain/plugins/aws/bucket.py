"""S3 buckets, and the settings of a bucket that are resources of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from typing_extensions import override

from toolchain.plugins.aws.kind import AwsType, Properties
from toolchain.plugins.aws.shapes import TAGS, tag_list, tag_state
from toolchain.plugins.base.schema import BOOLEAN, STRING, Schema, properties

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolchain.plugins.aws.account import Account
    from toolchain.plugins.base.resource import Operation


class Bucket(AwsType):
    """A bucket; it must be empty to be deleted, unless `forceDestroy` empties it."""

    service = "s3"
    schema = Schema(
        "aws:s3/bucket:Bucket",
        inputs={
            "bucket": STRING.but(required=True),
            "forceDestroy": BOOLEAN.but(replaces=False, default=False),
            "objectLockEnabled": BOOLEAN.but(computed=True),
            "tags": TAGS,
        },
        outputs=properties("arn bucketDomainName bucketRegion bucketRegionalDomainName tagsAll"),
        partial=True,
        delete_before_replace=True,  # no two buckets have one name
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        name, region = str(inputs["bucket"]), self.api.meta.region_name
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.api.create_bucket(
            Bucket=name,
            ObjectLockEnabledForBucket=bool(inputs.get("objectLockEnabled")),
            **({} if region == "us-east-1" else place),
        )
        return name

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if inputs.get("tags"):
            tags = {"TagSet": tag_list(inputs["tags"])}
            self.api.put_bucket_tagging(Bucket=identity, Tagging=tags)
        elif old.get("tags"):
            self.api.delete_bucket_tagging(Bucket=identity)

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        self.api.head_bucket(Bucket=identity)
        meta = self.api.meta
        try:
            tags = self.api.get_bucket_tagging(Bucket=identity)["TagSet"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchTagSet":
                raise
            tags = []
        return {
            "arn": f"arn:{meta.partition}:s3:::{identity}",
            "bucket": identity,
            "bucketDomainName": f"{identity}.s3.amazonaws.com",
            "bucketRegion": meta.region_name,
            "bucketRegionalDomainName": f"{identity}.s3.{meta.region_name}.amazonaws.com",
            **tag_state(tags),
        }

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        if state.get("forceDestroy"):
            delete_versions(self.api, identity, force=True)
        self.api.delete_bucket(Bucket=identity)


def delete_versions(api: Any, bucket: str, *, key: str | None = None, force: bool = False) -> None:
    """Delete every version of one object, or of all; `force` past a lock's governance."""
    bypass = {"BypassGovernanceRetention": True} if force else {}
    pages = api.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key or "")
    for page in pages:
        for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
            if key in (None, entry["Key"]):
                version = {"Key": entry["Key"], "VersionId": entry["VersionId"]}
                api.delete_object(Bucket=bucket, **version, **bypass)


@dataclass(frozen=True)
class Setting:
    """One setting of a bucket as S3 keeps it.

    `call` is the end of its calls (`put_<call>`, `get_<call>`), `parameter` what the first takes
    and the second gives. `pack` makes S3's value of the properties, `unpack` the reverse.
    `away` is what removes it, when that is no `delete_<call>`.
    """

    schema: Schema
    call: str
    parameter: str
    pack: Callable[[Properties], Any]
    unpack: Callable[[Any], Properties]
    away: Callable[[Any, str], object] | None = None


class BucketSetting(AwsType):
    """A setting; its id is the bucket's name."""

    service = "s3"

    def __init__(self, account: Account, setting: Setting) -> None:
        super().__init__(account)
        self._setting = setting
        self.schema = setting.schema

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        return str(inputs["bucket"])

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        put = getattr(self.api, f"put_{self._setting.call}")
        put(Bucket=identity, **{self._setting.parameter: self._setting.pack(inputs)})

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        answer = getattr(self.api, f"get_{self._setting.call}")(Bucket=identity)
        value = answer.get(self._setting.parameter, answer)
        return {"bucket": identity, **self._setting.unpack(value)}

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        if self._setting.away:
            self._setting.away(self.api, identity)
        else:
            getattr(self.api, f"delete_{self._setting.call}")(Bucket=identity)
