"""What a machine boots from: Debian's own image, of the release that has the engine."""

import pulumi
import pulumi_aws as aws

from infra.machines import MACHINES
from infra.planner import Plan

DEBIAN_ACCOUNT = "136693071363"
DEBIAN_RELEASES = {"redis-8": 13, "redis-7": 12, "valkey-8": 13}


def newest_image(plan: Plan, parent: pulumi.Resource) -> pulumi.Output[str]:
    """Name the image: the one that is set, else Debian's newest for the engine and the machine."""
    settings = plan.config.aws
    if settings.ami:
        return pulumi.Output.from_input(settings.ami)
    architecture = MACHINES[settings.instance_type].architecture
    release = DEBIAN_RELEASES[plan.config.engine]
    found = aws.ec2.get_ami_output(
        owners=[DEBIAN_ACCOUNT],
        most_recent=True,
        filters=[{"name": "name", "values": [f"debian-{release}-{architecture}-*"]}],
        opts=pulumi.InvokeOutputOptions(parent=parent),
    )
    return found.id
