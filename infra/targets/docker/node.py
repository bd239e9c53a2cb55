"""Data nodes and sentinels: one container with its volume each."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi

from infra.containers import member
from infra.credentials import Pair
from infra.live import digest, fixed_text
from infra.planner import Plan
from infra.rendering import FILE_NAMES, node_files
from infra.targets.docker.container import (
    ContainerSpec,
    Surroundings,
    contents_digest,
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

    def __init__(self, kind: str, args: NodeArgs, opts: pulumi.ResourceOptions | None) -> None:
        node, what = args.node, member(args.plan, args.node)
        super().__init__(f"redis-ha:docker:{kind}", node.name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        rendered = args.passwords.apply(
            lambda passwords: node_files(args.plan, node, passwords=passwords)
        )
        spec = ContainerSpec(
            what=what,
            around=args.around,
            pair=args.pair,
            files={name: rendered[name] for name in FILE_NAMES[node.role]},
            volumes={
                path: make_volume(node, purpose, child).name
                for path, purpose in what.volumes.items()
            },
            fixed=_fixed(args),
            after=args.after,
        )
        self.container = make_container(spec, self)
        self.files = contents_digest(spec)
        self.register_outputs(
            {"address": node.host, "port": node.port, "container": self.container.name}
        )


class DataNode(_Member):
    """One redis-server; as master it hands over before it stops."""

    def __init__(self, args: NodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("DataNode", args, opts)


class Sentinel(_Member):
    """One redis-sentinel; its volume keeps the configuration that it rewrites, and its vote."""

    def __init__(self, args: NodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("Sentinel", args, opts)


def _fixed(args: NodeArgs) -> pulumi.Input[str]:
    """Tell what needs a new container: a running sentinel can't load a certificate, either."""
    text = fixed_text(args.plan, args.node)
    if args.node.role == "data":
        return digest(text)
    certificates = (args.around.authority_certificate, args.pair.certificate)
    return pulumi.Output.all(*certificates).apply(lambda pems: digest(text, *pems))
