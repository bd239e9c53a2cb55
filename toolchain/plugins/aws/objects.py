"""aws:s3/bucketObjectv2:BucketObjectv2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from typing_extensions import override

from toolchain.plugins.aws.bucket import delete_versions
from toolchain.plugins.aws.kind import AwsType, Properties
from toolchain.plugins.aws.shapes import FLEXIBLE, TAGS, tag_list, tag_state
from toolchain.plugins.base.checking import Failure
from toolchain.plugins.base.schema import ASSET, BOOLEAN, STRING, Schema, properties

if TYPE_CHECKING:
    from toolchain.plugins.base.resource import Operation


class BucketObject(AwsType):
    """An object from a file or a text; a changed one is a new version of it."""

    service = "s3"
    schema = Schema(
        "aws:s3/bucketObjectv2:BucketObjectv2",
        inputs={
            "bucket": STRING.but(required=True),
            "content": FLEXIBLE,
            "contentType": FLEXIBLE.but(computed=True),
            "forceDestroy": BOOLEAN.but(replaces=False, default=False),
            "key": STRING.but(required=True),
            "source": ASSET.but(replaces=False, meaning=lambda asset: asset.get("hash")),
            "sourceHash": FLEXIBLE,
            "tags": TAGS,
        },
        outputs=properties("arn etag kmsKeyId serverSideEncryption tagsAll versionId"),
        partial=True,
    )

    @override
    def check(self, inputs: Properties) -> list[Failure]:
        """Ask for exactly one content."""
        given = [name for name in ("content", "source") if inputs.get(name) is not None]
        one = "exactly one of content and source must be given"
        return [] if len(given) == 1 else [Failure("source", one)]

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        self._put(inputs)
        return f"{inputs['bucket']}/{inputs['key']}"

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if not old:
            return
        content = ("content", "contentType", "source", "sourceHash")
        if any(old.get(name) != inputs.get(name) for name in content):
            self._put(inputs)
        else:
            tags = {"TagSet": tag_list(inputs.get("tags"))}
            self.api.put_object_tagging(**_place(inputs), Tagging=tags)

    def _put(self, inputs: Properties) -> None:
        kind = {"ContentType": inputs["contentType"]} if inputs.get("contentType") else {}
        tags = urlencode(inputs.get("tags") or {})
        source = inputs.get("source") or {"text": inputs.get("content")}
        if "path" in source:
            with Path(source["path"]).open("rb") as body:
                self.api.put_object(**_place(inputs), Body=body, Tagging=tags, **kind)
        else:
            self.api.put_object(
                **_place(inputs), Body=source["text"].encode(), Tagging=tags, **kind
            )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen: dict[str, Any] = self.api.head_object(**_place(state))
        tags = self.api.get_object_tagging(**_place(state))["TagSet"]
        return {
            "arn": f"arn:{self.api.meta.partition}:s3:::{identity}",
            "contentType": seen.get("ContentType"),
            "etag": seen["ETag"].strip('"'),
            "kmsKeyId": seen.get("SSEKMSKeyId"),
            "serverSideEncryption": seen.get("ServerSideEncryption"),
            "versionId": seen.get("VersionId"),
            **tag_state(tags),
        }

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        """Delete every version; `forceDestroy` also those that a lock's governance keeps."""
        force = bool(state.get("forceDestroy"))
        delete_versions(self.api, state["bucket"], key=state["key"], force=force)


def _place(inputs: Properties) -> dict[str, str]:
    return {"Bucket": inputs["bucket"], "Key": inputs["key"]}
