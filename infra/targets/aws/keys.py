"""The keys under which everything at rest is encrypted, renewed by KMS each year."""

import pulumi
import pulumi_aws as aws

from infra.targets.aws.policies import data_key_policy, secrets_key_policy
from infra.targets.aws.surroundings import Surroundings

DELETION_WINDOW_DAYS = 30


class Keys(pulumi.ComponentResource):
    """Two keys, or the operator's one for both.

    `data` opens volumes and the bucket, and is protected as they are: without it they are noise.
    `secrets` opens secrets, logs and the alarms' topic.
    """

    data: pulumi.Output[str]
    secrets: pulumi.Output[str]

    def __init__(
        self, name: str, around: Surroundings, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:aws:Keys", name, None, opts)
        self._around = around
        given = around.plan.config.aws.kms_key
        if given:
            self.data = self.secrets = pulumi.Output.from_input(given)
        else:
            place = around.place
            self.data = self._make("data", place.apply(data_key_policy), protect=True)
            self.secrets = self._make("secrets", place.apply(secrets_key_policy), protect=False)
        self.register_outputs({"data": self.data, "secrets": self.secrets})

    def _make(
        self, purpose: str, policy: pulumi.Output[str], *, protect: bool
    ) -> pulumi.Output[str]:
        key = aws.kms.Key(
            f"key-{purpose}",
            description=f"{self._around.base}: {purpose}",
            enable_key_rotation=True,
            deletion_window_in_days=DELETION_WINDOW_DAYS,
            policy=policy,
            tags=self._around.tags(purpose),
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        aws.kms.Alias(
            f"key-{purpose}-alias",
            name=f"alias/{self._around.base}-{purpose}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return key.arn
