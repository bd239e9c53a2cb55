"""Secrets Manager: a secret and its current version."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from typing_extensions import override

from toolchain.plugins.aws.kind import AwsType, Properties, chosen_name
from toolchain.plugins.aws.shapes import (
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
from toolchain.plugins.base.schema import INTEGER, STRING, STRING_SET, Schema, properties

if TYPE_CHECKING:
    from toolchain.plugins.base.resource import Operation


class Secret(AwsType):
    """A secret without content. Deleting it begins a waiting time, or with 0 days none."""

    service = "secretsmanager"
    schema = Schema(
        "aws:secretsmanager/secret:Secret",
        inputs={
            "description": FLEXIBLE,
            "kmsKeyId": FLEXIBLE,
            "name": NAME,
            "namePrefix": NAME,
            "recoveryWindowInDays": INTEGER.but(replaces=False, default=30),
            "tags": TAGS,
        },
        outputs=properties("arn tagsAll"),
        partial=True,
        named=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        answer = self.api.create_secret(
            Name=chosen_name(inputs),
            Tags=tag_list(inputs.get("tags")),
            **to_aws(inputs, names("description kmsKeyId")),
        )
        return str(answer["ARN"])

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if not old:
            return
        kept = {"Description": inputs.get("description", "")}
        self.api.update_secret(SecretId=identity, **kept, **to_aws(inputs, names("kmsKeyId")))
        retag(
            old.get("tags"),
            inputs.get("tags"),
            untag=lambda keys: self.api.untag_resource(SecretId=identity, TagKeys=keys),
            tag=lambda tags: self.api.tag_resource(SecretId=identity, Tags=tag_list(tags)),
        )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen = self.api.describe_secret(SecretId=identity)
        if seen.get("DeletedDate"):
            return None
        table = names("description kmsKeyId name", arn="ARN")
        return {**from_aws(seen, table), **tag_state(seen.get("Tags"))}

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        days = state["recoveryWindowInDays"]
        how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
        self.api.delete_secret(SecretId=identity, **how)


class SecretVersion(AwsType):
    """A secret's content. A write-only text is never kept; its version number says it changed."""

    service = "secretsmanager"
    schema = Schema(
        "aws:secretsmanager/secretVersion:SecretVersion",
        inputs={
            "secretId": STRING.but(required=True),
            "secretString": STRING,
            "secretStringWo": STRING.but(write_only=True),
            "secretStringWoVersion": INTEGER,
            "versionStages": STRING_SET.but(replaces=False, computed=True),
        },
        outputs=properties("arn hasSecretStringWo versionId"),
        partial=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        text = inputs.get("secretStringWo", inputs.get("secretString"))
        answer = self.api.put_secret_value(
            SecretId=inputs["secretId"],
            SecretString=text,
            ClientRequestToken=str(uuid.uuid4()),
            **to_aws(inputs, names("versionStages")),
        )
        return f"{inputs['secretId']}|{answer['VersionId']}"

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        secret, _, version = identity.partition("|")
        described = self.api.describe_secret(SecretId=secret)
        stages = (described.get("VersionIdsToStages") or {}).get(version)
        if described.get("DeletedDate") or not stages:
            return None
        seen: Properties = {
            "arn": described["ARN"],
            "hasSecretStringWo": "secretStringWoVersion" in state,
            "versionId": version,
            "versionStages": stages,
        }
        if state.get("secretString") is not None:
            value = self.api.get_secret_value(SecretId=secret, VersionId=version)
            seen["secretString"] = value["SecretString"]
        return seen

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        """Take its labels away, all but the current one, which only another version can take."""
        secret, _, version = identity.partition("|")
        described = self.api.describe_secret(SecretId=secret)
        for stage in (described.get("VersionIdsToStages") or {}).get(version, ()):
            if stage != "AWSCURRENT":
                self.api.update_secret_version_stage(
                    SecretId=secret, VersionStage=stage, RemoveFromVersionId=version
                )
