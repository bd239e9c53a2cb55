"""From a plan to a cluster on the target that the plan names."""

from pathlib import Path
from typing import Any

from infra.planner import Plan


def deploy(plan: Plan, *, root: Path) -> dict[str, Any]:
    """Declare the cluster's resources and give the stack's outputs; `root` is the checkout.

    Errors: PlanRefused, CredentialsMissing, PackagesMissing, before any resource. A target's SDK is
    imported only when it is used.
    """
    made = _in_zones(plan, root) if plan.config.target == "aws" else _on_this_host(plan, root)
    generations = plan.config.generations.described()
    return {**made, "plan": plan.output(), "generations": generations}


def _on_this_host(plan: Plan, root: Path) -> dict[str, Any]:
    from infra.targets.docker.cluster import Cluster  # noqa: PLC0415
    from infra.targets.docker.host import require_host  # noqa: PLC0415

    require_host(plan.config.limits)
    return Cluster("redis-ha", plan, root).outputs()


def _in_zones(plan: Plan, root: Path) -> dict[str, Any]:
    from infra.targets.aws.access import require_credentials  # noqa: PLC0415

    require_credentials()
    from infra.targets.aws.stack import provision  # noqa: PLC0415

    return provision(plan, root)
