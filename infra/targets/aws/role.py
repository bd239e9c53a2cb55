"""The role of one machine: its own secrets, its bucket's two folders, its log; nothing of EC2."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.targets.aws.keys import Keys
from infra.targets.aws.place import Place
from infra.targets.aws.policies import NodeRights, node_policy, trust_policy, worker_policy
from infra.targets.aws.surroundings import Surroundings


@dataclass(frozen=True)
class RoleArgs:
    """The machine's name, the keys, and the secrets that it alone may read."""

    around: Surroundings
    machine: str
    keys: Keys
    secrets: Sequence[pulumi.Output[str]]


class NodeRole(pulumi.ComponentResource):
    """One role per machine, since no machine may read another's secret."""

    profile: pulumi.Output[str]
    policies: tuple[pulumi.Resource, ...]

    def __init__(
        self, name: str, args: RoleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:aws:NodeRole", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        around = args.around
        # The account's regions share one space of names, of at most 64 characters.
        global_name = f"{around.base}-{around.plan.config.aws.region}-{args.machine}"
        role = aws.iam.Role(
            f"{name}-role",
            name=global_name,
            description=f"{args.machine} of {around.base}",
            assume_role_policy=trust_policy(),
            permissions_boundary=around.plan.config.aws.permissions_boundary or None,
            tags=around.tags(args.machine),
            opts=child,
        )
        arns = pulumi.Output.all(args.keys.secrets, args.keys.data, *args.secrets)
        granted = pulumi.Output.all(around.place, arns).apply(lambda k: _granted(k[0], k[1]))
        self.policies = tuple(
            aws.iam.RolePolicy(
                f"{name}-{what}", name=what, role=role.name, policy=granted[what], opts=child
            )
            for what in ("node", "backup-worker")
        )
        self.profile = aws.iam.InstanceProfile(
            f"{name}-profile",
            name=global_name,
            role=role.name,
            tags=around.tags(args.machine),
            opts=child,
        ).name
        self.register_outputs({"role": role.name})


def _granted(place: Place, arns: Sequence[str]) -> dict[str, str]:
    secrets_key, data_key, *secrets = arns
    rights = NodeRights(tuple(secrets), secrets_key, data_key)
    return {"node": node_policy(place, rights), "backup-worker": worker_policy(place, rights)}
