"""Where a stack is on AWS and what its resources are called there; pure.

Of AWS's partitions only the commercial one; the planner refuses the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Place:
    """An account and a region, the stack's base name in them, and the tags of all it makes."""

    account: str
    region: str
    base: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        """The bucket's name, which no other account may have."""
        return f"{self.base}-{self.account}-{self.region}"

    @property
    def bucket_arn(self) -> str:
        return f"arn:aws:s3:::{self.bucket}"

    @property
    def log_group(self) -> str:
        return f"/{self.base}"

    @property
    def log_group_arn(self) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.log_group}"

    def service(self, name: str) -> str:
        """Name a service as the region's keys see it (kms:ViaService), and principals."""
        return f"{name}.{self.region}.amazonaws.com"

    def tagged(self, name: str, **more: str) -> dict[str, str]:
        """Give the tags of one resource; the stack's own names win over the operator's."""
        return {**self.tags, "redis-ha": self.base, "Name": f"{self.base}-{name}", **more}
