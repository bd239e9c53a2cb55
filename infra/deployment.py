"""From a plan to a cluster on the target that the plan names."""

from pathlib import Path
from typing import Any

from infra.errors import TargetUnavailable
from infra.planner import Plan


def deploy(plan: Plan, *, root: Path) -> dict[str, Any]:
    """Declare the cluster's resources and give the stack's outputs; `root` is the checkout.

    Errors: TargetUnavailable, before any resource. A target's SDK is imported only when it is used.
    """
    if plan.config.target == "aws":
        raise TargetUnavailable(
            "target = aws: this version does not provision AWS yet; use the docker target "
            "(pulumi up -s dev, or pulumi config set target docker)"
        )
    from infra.targets.docker.cluster import Cluster  # noqa: PLC0415

    return {**Cluster("redis-ha", plan, root).outputs(), "plan": plan.output()}
