"""What every component of the stack is given: the plan, the place, and the options of a child."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.planner import Plan
from infra.targets.aws.place import Place


@dataclass(frozen=True)
class Surroundings:
    """The plan and where it is carried out; the account is known only once AWS was asked."""

    plan: Plan
    place: pulumi.Output[Place]

    @property
    def base(self) -> str:
        return self.plan.topology.network

    def tags(self, name: str, **more: str) -> Mapping[str, str]:
        """Give the tags of a resource; they don't need the account."""
        aws = self.plan.config.aws
        return Place("", aws.region, self.base, dict(aws.tags)).tagged(name, **more)

    def own_tags(self, name: str) -> Mapping[str, str]:
        """Give the stack's tags alone: an object in S3 takes ten, the operator may set fifty."""
        return Place("", self.plan.config.aws.region, self.base).tagged(name)
