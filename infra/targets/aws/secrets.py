"""Secrets Manager: what a machine fetches at boot, so that user-data holds no secret."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.targets.aws.files import version
from infra.targets.aws.surroundings import Surroundings


@dataclass(frozen=True)
class SecretArgs:
    """One secret: what it is of, its text (secret), and the ARN of the key that encrypts it."""

    around: Surroundings
    what: str
    text: pulumi.Output[str]
    key: pulumi.Input[str]


class StoredSecret(pulumi.ComponentResource):
    """A secret and its current version.

    The text is passed as a write-only property: no output holds it and a refresh never reads it
    back. Pulumi keeps it among the inputs, encrypted (pulumi-terraform-bridge 3201).
    """

    arn: pulumi.Output[str]
    current: aws.secretsmanager.SecretVersion

    def __init__(
        self, name: str, args: SecretArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:aws:StoredSecret", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        around = args.around
        secret = aws.secretsmanager.Secret(
            f"{name}-entry",
            # A deleted secret holds its name for the recovery window: the suffix lets `up` go on.
            name_prefix=f"{around.base}/{args.what}-",
            description=f"Files of {args.what}, read at boot",
            kms_key_id=args.key,
            recovery_window_in_days=around.plan.config.aws.recovery_window_days,
            tags=around.tags(args.what),
            opts=child,
        )
        self.current = aws.secretsmanager.SecretVersion(
            f"{name}-content",
            secret_id=secret.id,
            secret_string_wo=args.text,
            secret_string_wo_version=pulumi.Output.unsecret(args.text.apply(version)),
            opts=child,
        )
        self.arn = secret.arn
        self.register_outputs({"arn": self.arn})
