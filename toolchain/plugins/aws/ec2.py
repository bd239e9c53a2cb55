"""What EC2's resources have in common: they are made, described, tagged and deleted by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typing_extensions import override

from toolchain.plugins.aws.kind import AwsType, Properties
from toolchain.plugins.aws.shapes import from_aws, retag, tag_list, tag_state, to_aws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolchain.plugins.base.resource import Operation


class Ec2Type(AwsType):
    """A type as a table.

    `noun` is what EC2 calls it in its calls (`create_<noun>`, `describe_<noun>s`), `key` its id's
    name (`VpcId`), `member` the list in a description (`Vpcs`).
    `made_with` and `seen_as` map properties to parameters and to what a description has.
    """

    service = "ec2"
    noun: str
    key: str
    member: str
    tagged: str
    made_with: Mapping[str, str]
    seen_as: Mapping[str, str]

    @override
    def make(self, inputs: Properties, operation: Operation) -> str:
        create = getattr(self.api, f"create_{self.noun}")
        answer = create(
            **self.parameters(inputs),
            TagSpecifications=tag_specifications(inputs.get("tags"), self.tagged),
        )
        return str(answer.get(self.key) or next(iter(answer.values()))[self.key])

    def parameters(self, inputs: Properties) -> Properties:
        """Give what the creating call takes, tags aside. Pure."""
        return to_aws(inputs, self.made_with)

    @override
    def settle(
        self, identity: str, old: Properties, inputs: Properties, operation: Operation
    ) -> None:
        if old:
            self.tag(identity, old.get("tags"), inputs.get("tags"))

    def tag(
        self, identity: str, old: Mapping[str, str] | None, new: Mapping[str, str] | None
    ) -> None:
        """Change the tags of anything that EC2 knows by id."""
        me = {"Resources": [identity]}
        retag(
            old,
            new,
            untag=lambda keys: self.api.delete_tags(**me, Tags=[{"Key": key} for key in keys]),
            tag=lambda tags: self.api.create_tags(**me, Tags=tag_list(tags)),
        )

    @override
    def look(self, identity: str, state: Properties) -> Properties | None:
        seen = self.describe(identity)
        if seen is None:
            return None
        tags = tag_state(seen.get("Tags") or seen.get("TagSet"))
        return {**from_aws(seen, self.seen_as), **tags}

    def describe(self, identity: str) -> dict[str, Any] | None:
        """Give EC2's description."""
        answer = getattr(self.api, f"describe_{self.noun}s")(**{f"{self.key}s": [identity]})
        found: list[dict[str, Any]] = answer[self.member]
        return found[0] if found else None

    @override
    def remove(self, identity: str, state: Properties, operation: Operation) -> None:
        getattr(self.api, f"delete_{self.noun}")(**{self.key: identity})


def tag_specifications(tags: Mapping[str, str] | None, what: str) -> list[dict[str, Any]]:
    """Give tags as EC2's creating calls take them."""
    return [{"ResourceType": what, "Tags": tag_list(tags)}] if tags else []
