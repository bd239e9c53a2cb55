"""The backup worker: one container with its state, and the store where that is a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi

from infra.containers import KEPT, Container, Purpose, worker
from infra.credentials import BackupSecrets, Pair
from infra.planner import Plan
from infra.rendering import env_file, worker_environment
from infra.targets.docker.container import (
    ContainerSpec,
    Surroundings,
    make_container,
    make_volume,
)


@dataclass(frozen=True)
class WorkerArgs:
    """The worker of the plan, its keys, and what must be healthy before it starts."""

    plan: Plan
    around: Surroundings
    pair: Pair
    passwords: pulumi.Output[dict[str, str]]
    secrets: BackupSecrets
    after: Sequence[pulumi.Resource] = field(default_factory=tuple)


class Worker(pulumi.ComponentResource):
    """Takes snapshots from a replica; a folder store stays behind when the stack is destroyed."""

    def __init__(
        self, name: str, args: WorkerArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:docker:Worker", name, None, opts)
        plan, node, what = args.plan, args.plan.topology.worker, worker(args.plan)
        settings = pulumi.Output.all(args.passwords, args.secrets.keys).apply(
            lambda made: env_file(worker_environment(plan, passwords=made[0], keys=made[1]))
        )
        spec = ContainerSpec(
            what=what,
            around=args.around,
            pair=args.pair,
            files={"worker.env": settings, "signing.key": args.secrets.signing_key},
            volumes={path: self._volume(what, purpose) for path, purpose in what.volumes.items()},
            after=args.after,
        )
        self.container = make_container(spec, self)
        self.register_outputs({"address": node.host, "container": self.container.name})

    def _volume(self, what: Container, purpose: Purpose) -> pulumi.Output[str]:
        kept = purpose in KEPT or None
        opts = pulumi.ResourceOptions(parent=self, retain_on_delete=kept)
        return make_volume(what.node, purpose, opts).name
