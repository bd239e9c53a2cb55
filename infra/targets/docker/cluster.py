"""The whole cluster on one Docker host, in the order in which it must come up."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi

from infra.credentials import Authority, BackupSecrets, Passwords
from infra.planner import Plan
from infra.rendering import host_environment
from infra.targets.docker.container import Surroundings
from infra.targets.docker.context import build_args
from infra.targets.docker.image import Image, ImageArgs
from infra.targets.docker.monitoring import Monitoring, MonitoringArgs
from infra.targets.docker.network import Network
from infra.targets.docker.node import DataNode, NodeArgs, Sentinel
from infra.targets.docker.worker import Worker, WorkerArgs
from infra.topology import Node


class Cluster(pulumi.ComponentResource):
    """Sentinels, data nodes, the worker and who watches them; a change rolls one node at a time.

    The sentinels come first: they are the cluster's memory, which a data node asks when it boots.
    """

    def __init__(
        self, name: str, plan: Plan, root: Path, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:docker:Cluster", name, None, opts)
        self._plan = plan
        self._child = pulumi.ResourceOptions(parent=self)
        self._passwords = Passwords(
            "passwords", plan.config.generations.password_generation, self._child
        )
        self._secrets = BackupSecrets(
            "backup",
            plan.config.backup,
            plan.config.generations.backup_key_generation,
            self._child,
        )
        self._authority = Authority(
            "ca", plan.config.certificates, plan.config.generations, self._child
        )
        self._around = self._make_surroundings(root)
        chain: list[pulumi.Resource] = []
        self._files: dict[str, pulumi.Output[str]] = {}
        for node in (*plan.topology.sentinels, *plan.topology.data_nodes):
            kind = DataNode if node.role == "data" else Sentinel
            member = kind(self._node_args(node, chain), self._child)
            self._files[node.name] = member.files
            chain.append(member.container)
        chain.append(self._make_worker(chain).container)
        if plan.config.monitoring.monitoring:
            self._make_monitoring(root, chain)
        self.register_outputs({"network": plan.topology.network})

    def outputs(self) -> dict[str, Any]:
        """Give the stack's outputs; passwords and the identity are secret."""
        topology = self._plan.topology
        environment = pulumi.Output.all(self._passwords.by_user, self._secrets.keys).apply(
            lambda made: host_environment(self._plan, passwords=made[0], keys=made[1])
        )
        monitors = topology.monitors.nodes if self._plan.config.monitoring.monitoring else ()
        return {
            "nodes": [_described(node) for node in topology.data_nodes],
            "sentinels": [_described(node) for node in topology.sentinels],
            "monitoring": [_described(node) for node in monitors],
            "subnet": str(topology.subnet),
            "files": self._files,
            "env": pulumi.Output.secret(environment),
            "ca": self._authority.certificate,
            **self._secrets.outputs,
        }

    def _make_surroundings(self, root: Path) -> Surroundings:
        config, topology = self._plan.config, self._plan.topology
        self._image_args = ImageArgs(
            root, topology.network, config.engine, build_args(config), "node"
        )
        self._image = Image("node", self._image_args, self._child)
        return Surroundings(
            image_id=self._image.image_id,
            network_name=Network("network", topology, self._child).network_name,
            authority_certificate=self._authority.certificate,
        )

    def _node_args(self, node: Node, chain: list[pulumi.Resource]) -> NodeArgs:
        return NodeArgs(
            plan=self._plan,
            node=node,
            around=self._around,
            pair=self._authority.issue(node),
            passwords=self._passwords.by_user,
            after=tuple(chain[-1:]),
        )

    def _make_worker(self, chain: list[pulumi.Resource]) -> Worker:
        worker = WorkerArgs(
            plan=self._plan,
            around=self._around,
            pair=self._authority.issue(self._plan.topology.worker),
            passwords=self._passwords.by_user,
            secrets=self._secrets,
            after=tuple(chain[-1:]),
        )
        return Worker(worker.plan.topology.worker.name, worker, self._child)

    def _make_monitoring(self, root: Path, chain: list[pulumi.Resource]) -> Monitoring:
        repository = f"{self._plan.topology.network}-monitoring"
        image = replace(
            self._image_args, repository=repository, stage="monitoring", after=(self._image,)
        )
        args = MonitoringArgs(
            plan=self._plan,
            around=replace(self._around, image_id=Image("monitoring", image, self._child).image_id),
            authority=self._authority,
            passwords=self._passwords.by_user,
            root=root,
            after=tuple(chain[-1:]),
        )
        return Monitoring("monitoring", args, self._child)


def _described(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "role": node.role,
        "address": node.host,
        "port": node.port,
        "hostPort": node.port,
        "container": node.container,
    }
