"""The backup worker: one container with its state, and the store where that is a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi

from infra.credentials import BackupSecrets, Pair
from infra.planner import Plan
from infra.rendering import env_file, worker_environment
from infra.targets.docker.container import (
    PATHS,
    ContainerSpec,
    Surroundings,
    make_container,
    make_volume,
)

STORE_PATH = "/backup"


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
        plan, node = args.plan, args.plan.topology.worker
        settings = pulumi.Output.all(args.passwords, args.secrets.keys).apply(
            lambda made: env_file(worker_environment(plan, passwords=made[0], keys=made[1]))
        )
        spec = ContainerSpec(
            node=node,
            around=args.around,
            pair=args.pair,
            entrypoint="backup-worker",
            command=["run"],
            memory_mb=plan.config.limits.worker_memory_mb,
            start_wait_seconds=plan.config.limits.worker_start_wait_seconds,
            files={"worker.env": settings, "signing.key": args.secrets.signing_key},
            volumes=self._volumes(plan),
            published=False,
            after=args.after,
        )
        self.container = make_container(spec, self)
        self.register_outputs({"address": node.host, "container": self.container.name})

    def _volumes(self, plan: Plan) -> dict[str, pulumi.Output[str]]:
        node = plan.topology.worker
        state = make_volume(node, "state", pulumi.ResourceOptions(parent=self))
        volumes = {PATHS.backup_state: state.name}
        if plan.config.backup.backup_store.startswith("file://"):
            kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
            volumes[STORE_PATH] = make_volume(node, "store", kept).name
        return volumes
