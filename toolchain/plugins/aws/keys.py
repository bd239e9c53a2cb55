"""KMS keys and their aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from toolchain.plugins.aws.kind import AwsType, Properties, chosen_name
from toolchain.plugins.aws.shapes import (
    DOCUMENT,
    FLEXIBLE,
    NAME,
    TAGS,
    from_aws,
    names,
    retag,
    tag_list,
    tag_state,
    to_aws,
)
from toolchain.plugins.base.schema import BOOLEAN, INTEGER, STRING, Schema, properties

if TYPE_CHECKING:
    from typing import Any

    from toolchain.plugins.base.resource import Operation

_TAG: Final = "TagKey"


class Key(AwsType):
    """A key. Deleting it begins a waiting time in which it can be had back."""

    service = "kms"
    schema = Schema(
        "aws:kms/key:Key",
        inputs={
            "customerMasterKeySpec": STRING.but(default="SYMMETRIC_DEFAULT"),
            "deletionWindowInDays": INTEGER.but(replaces=False),
            "description": FLEXIBLE.but(computed=True),
            "enableKeyRotation": BOOLEAN.but(replaces=False, default=False),
            "keyUsage": STRING.but(default="ENCRYPT_DECRYPT"),
            "policy": DOCUMENT.but(computed=True),
            "tags": TAGS,
        },
        outputs=properties("arn keyId tagsAll"),
        partial=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        table = names("description keyUsage policy", customerMasterKeySpec="KeySpec")
        answer = self.api.create_key(
            **to_aws(inputs, table), Tags=tag_list(inputs.get("tags"), key=_TAG)
        )
        return str(answer["KeyMetadata"]["KeyId"])

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        turn = "enable" if inputs["enableKeyRotation"] else "disable"
        getattr(self.api, f"{turn}_key_rotation")(KeyId=identity)
        if not old:
            return
        description = inputs.get("description", "")
        self.api.update_key_description(KeyId=identity, Description=description)
        if inputs.get("policy"):
            self.api.put_key_policy(KeyId=identity, PolicyName="default", Policy=inputs["policy"])
        retag(
            old.get("tags"),
            inputs.get("tags"),
            untag=lambda keys: self.api.untag_resource(KeyId=identity, TagKeys=keys),
            tag=lambda tags: self.api.tag_resource(KeyId=identity, Tags=tag_list(tags, key=_TAG)),
        )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen: dict[str, Any] = self.api.describe_key(KeyId=identity)["KeyMetadata"]
        if seen["KeyState"] == "PendingDeletion":
            return None
        tags = self.api.list_resource_tags(KeyId=identity)["Tags"]
        return {
            **from_aws(seen, names("arn description keyId keyUsage")),
            "customerMasterKeySpec": seen.get("KeySpec"),
            "enableKeyRotation": self.api.get_key_rotation_status(KeyId=identity)[
                "KeyRotationEnabled"
            ],
            "policy": self.api.get_key_policy(KeyId=identity, PolicyName="default")["Policy"],
            **tag_state(tags, key=_TAG),
        }

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        days = state.get("deletionWindowInDays") or 30
        self.api.schedule_key_deletion(KeyId=identity, PendingWindowInDays=days)


class Alias(AwsType):
    """A name of a key."""

    service = "kms"
    schema = Schema(
        "aws:kms/alias:Alias",
        inputs={
            "name": NAME,
            "namePrefix": NAME,
            # A key's id and its ARN are the same key.
            "targetKeyId": FLEXIBLE.but(required=True, meaning=lambda key: key.rpartition("/")[2]),
        },
        outputs=properties("arn targetKeyArn"),
        partial=True,
        named=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        name = chosen_name(inputs)
        self.api.create_alias(AliasName=name, TargetKeyId=inputs["targetKeyId"])
        return name

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if old:
            self.api.update_alias(AliasName=identity, TargetKeyId=inputs["targetKeyId"])

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        pages = self.api.get_paginator("list_aliases").paginate()
        found = (a for page in pages for a in page["Aliases"] if a["AliasName"] == identity)
        seen = next(found, None)
        if seen is None:
            return None
        key = self.api.describe_key(KeyId=seen["TargetKeyId"])["KeyMetadata"]["Arn"]
        return {
            "arn": seen["AliasArn"],
            "name": identity,
            "targetKeyArn": key,
            "targetKeyId": seen["TargetKeyId"],
        }

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        self.api.delete_alias(AliasName=identity)
