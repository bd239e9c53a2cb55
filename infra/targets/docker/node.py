"""Data nodes and sentinels: one container with its volume each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi

from infra.credentials import Pair
from infra.planner import Plan
from infra.rendering import FILE_NAMES, node_files
from infra.targets.docker.container import (
    PATHS,
    ContainerSpec,
    Surroundings,
    make_container,
    make_volume,
)
from infra.topology import Node


@dataclass(frozen=True)
class NodeArgs:
    """A node of the plan, and the resources that must be healthy before it is touched."""

    plan: Plan
    node: Node
    around: Surroundings
    pair: Pair
    passwords: pulumi.Output[dict[str, str]]
    after: Sequence[pulumi.Resource] = field(default_factory=tuple)


class _Member(pulumi.ComponentResource):
    """A container that runs the node's agent, with a volume on /data."""

    def __init__(
        self, kind: str, args: NodeArgs, memory_mb: int, opts: pulumi.ResourceOptions | None
    ) -> None:
        node = args.node
        super().__init__(f"redis-ha:docker:{kind}", node.name, None, opts)
        volume = make_volume(node, "data", pulumi.ResourceOptions(parent=self))
        rendered = args.passwords.apply(
            lambda passwords: node_files(args.plan, node, passwords=passwords)
        )
        spec = ContainerSpec(
            node=node,
            around=args.around,
            pair=args.pair,
            entrypoint="redis-ha-node",
            command=[node.role],
            memory_mb=memory_mb,
            start_wait_seconds=args.plan.config.limits.start_wait_seconds,
            files={name: rendered[name] for name in FILE_NAMES[node.role]},
            volumes={PATHS.data: volume.name},
            after=args.after,
        )
        self.container = make_container(spec, self)
        self.register_outputs(
            {"address": node.host, "port": node.port, "container": self.container.name}
        )


class DataNode(_Member):
    """One redis-server; as master it hands over before it stops."""

    def __init__(self, args: NodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("DataNode", args, args.plan.config.limits.node_memory_mb, opts)


class Sentinel(_Member):
    """One redis-sentinel; its volume keeps the configuration that it rewrites, and its vote."""

    def __init__(self, args: NodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("Sentinel", args, args.plan.config.limits.sentinel_memory_mb, opts)
