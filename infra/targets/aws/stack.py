"""The stack `prod`: the cluster in the region that the settings name."""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.planner import Plan
from infra.targets.aws.bundle import bundle_folder, find_bundle
from infra.targets.aws.cluster import RedisHaCluster, RedisHaClusterArgs


def provision(plan: Plan, root: Path) -> dict[str, Any]:
    """Declare the cluster under a provider of its own, so that the region is the plan's.

    Errors: PackagesMissing, before any resource.
    """
    bundle = find_bundle(bundle_folder(plan, root))
    provider = aws.Provider("aws", region=plan.config.aws.region)
    cluster = RedisHaCluster(
        "redis-ha", RedisHaClusterArgs(plan, bundle), pulumi.ResourceOptions(provider=provider)
    )
    return cluster.outputs()
