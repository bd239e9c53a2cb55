"""IAM: roles, their inline policies, instance profiles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import unquote

from typing_extensions import override

from toolchain.plugins.aws.account import wait_until
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


class Role(AwsType):
    """A role; its id is its name."""

    service = "iam"
    schema = Schema(
        "aws:iam/role:Role",
        inputs={
            "assumeRolePolicy": DOCUMENT.but(required=True),
            "description": FLEXIBLE,
            "forceDetachPolicies": BOOLEAN.but(replaces=False, default=False),
            "maxSessionDuration": INTEGER.but(replaces=False, default=3600),
            "name": NAME,
            "namePrefix": NAME,
            "path": STRING.but(default="/"),
            "permissionsBoundary": FLEXIBLE,
            "tags": TAGS,
        },
        outputs=properties("arn createDate tagsAll uniqueId"),
        partial=True,
        named=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        name = chosen_name(inputs)
        self.api.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=tag_list(inputs.get("tags")),
            **to_aws(inputs, names("description maxSessionDuration path permissionsBoundary")),
        )
        return name

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if not old:
            return
        me = {"RoleName": identity}
        trust = inputs["assumeRolePolicy"]
        self.api.update_assume_role_policy(**me, PolicyDocument=trust)
        self.api.update_role(
            **me,
            Description=inputs.get("description", ""),
            MaxSessionDuration=inputs["maxSessionDuration"],
        )
        if inputs.get("permissionsBoundary"):
            self.api.put_role_permissions_boundary(
                **me, PermissionsBoundary=inputs["permissionsBoundary"]
            )
        elif old.get("permissionsBoundary"):
            self.api.delete_role_permissions_boundary(**me)
        retag(
            old.get("tags"),
            inputs.get("tags"),
            untag=lambda keys: self.api.untag_role(**me, TagKeys=keys),
            tag=lambda tags: self.api.tag_role(**me, Tags=tag_list(tags)),
        )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen: dict[str, Any] = self.api.get_role(RoleName=identity)["Role"]
        boundary = seen.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        table = names("arn description maxSessionDuration path", name="RoleName", uniqueId="RoleId")
        return {
            **from_aws(seen, table),
            "assumeRolePolicy": written(seen["AssumeRolePolicyDocument"]),
            "createDate": seen["CreateDate"].isoformat(),
            "permissionsBoundary": boundary,
            **tag_state(seen.get("Tags")),
        }

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        self.api.delete_role(RoleName=identity)


class RolePolicy(AwsType):
    """A policy inside a role; its id is `role:name`."""

    service = "iam"
    schema = Schema(
        "aws:iam/rolePolicy:RolePolicy",
        inputs={
            "name": NAME,
            "namePrefix": NAME,
            "policy": DOCUMENT.but(required=True),
            "role": STRING.but(required=True),
        },
        partial=True,
        named=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        identity = f"{inputs['role']}:{chosen_name(inputs)}"
        self._put(identity, inputs)
        return identity

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if old:
            self._put(identity, inputs)

    def _put(self, identity: str, inputs: Properties) -> None:
        self.api.put_role_policy(**_of(identity), PolicyDocument=inputs["policy"])

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen = self.api.get_role_policy(**_of(identity))
        table = {"name": "PolicyName", "role": "RoleName"}
        return {**from_aws(seen, table), "policy": written(seen["PolicyDocument"])}

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        self.api.delete_role_policy(**_of(identity))


class InstanceProfile(AwsType):
    """What gives a machine its role."""

    service = "iam"
    schema = Schema(
        "aws:iam/instanceProfile:InstanceProfile",
        inputs={
            "name": NAME,
            "namePrefix": NAME,
            "path": STRING.but(default="/"),
            "role": FLEXIBLE,
            "tags": TAGS,
        },
        outputs=properties("arn createDate tagsAll uniqueId"),
        partial=True,
        named=True,
    )

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        name = chosen_name(inputs)
        tags = tag_list(inputs.get("tags"))
        self.api.create_instance_profile(InstanceProfileName=name, Path=inputs["path"], Tags=tags)
        return name

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        me = {"InstanceProfileName": identity}
        had, wanted = self._role(identity), inputs.get("role")
        if had and had != wanted:
            self.api.remove_role_from_instance_profile(**me, RoleName=had)
        if wanted and had != wanted:
            self.api.add_role_to_instance_profile(**me, RoleName=wanted)
            wait_until(
                lambda: self._role(identity) == wanted,
                what=f"profile {identity} has its role",
                lifetime=operation.lifetime,
            )
        retag(
            (old or inputs).get("tags"),
            inputs.get("tags"),
            untag=lambda keys: self.api.untag_instance_profile(**me, TagKeys=keys),
            tag=lambda tags: self.api.tag_instance_profile(**me, Tags=tag_list(tags)),
        )

    def _role(self, identity: str) -> str | None:
        profile = self.api.get_instance_profile(InstanceProfileName=identity)["InstanceProfile"]
        return next((str(role["RoleName"]) for role in profile["Roles"]), None)

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen = self.api.get_instance_profile(InstanceProfileName=identity)["InstanceProfile"]
        table = names("arn path", name="InstanceProfileName", uniqueId="InstanceProfileId")
        return {
            **from_aws(seen, table),
            "createDate": seen["CreateDate"].isoformat(),
            "role": next((role["RoleName"] for role in seen["Roles"]), None),
            **tag_state(seen.get("Tags")),
        }

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        me = {"InstanceProfileName": identity}
        role = self._role(identity)
        if role:
            self.api.remove_role_from_instance_profile(**me, RoleName=role)
        self.api.delete_instance_profile(**me)


def written(document: Any) -> str:
    """Give a document that IAM tells as text; boto3 has read it already, or it is quoted."""
    return unquote(document) if isinstance(document, str) else json.dumps(document)


def _of(identity: str) -> dict[str, str]:
    role, _, name = identity.partition(":")
    return {"RoleName": role, "PolicyName": name}
