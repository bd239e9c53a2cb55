"""The whole cluster on one Docker host, in the order in which it must come up."""

from pathlib import Path
from typing import Any

import pulumi

from infra.credentials import Authority, BackupSecrets, Passwords
from infra.planner import Plan
from infra.rendering import host_environment
from infra.targets.docker.container import Surroundings
from infra.targets.docker.image import Image, ImageArgs
from infra.targets.docker.network import Network
from infra.targets.docker.node import DataNode, NodeArgs, Sentinel
from infra.targets.docker.worker import Worker, WorkerArgs
from infra.topology import Node


class Cluster(pulumi.ComponentResource):
    """Sentinels, data nodes and the worker; a change rolls through them one at a time.

    The sentinels come first: they are the cluster's memory, which a data node asks when it boots.
    """

    def __init__(
        self, name: str, plan: Plan, root: Path, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:docker:Cluster", name, None, opts)
        self._plan = plan
        self._child = pulumi.ResourceOptions(parent=self)
        self._passwords = Passwords("passwords", self._child)
        self._secrets = BackupSecrets("backup", plan.config.backup, self._child)
        self._authority = Authority("ca", plan.config.certificates, self._child)
        self._around = self._make_surroundings(root)
        chain: list[pulumi.Resource] = []
        for sentinel in plan.topology.sentinels:
            chain.append(Sentinel(self._node_args(sentinel, chain), self._child).container)
        for node in plan.topology.data_nodes:
            chain.append(DataNode(self._node_args(node, chain), self._child).container)
        self._make_worker(chain)
        self.register_outputs({"network": plan.topology.network})

    def outputs(self) -> dict[str, Any]:
        """Give the stack's outputs; passwords and the identity are secret."""
        topology = self._plan.topology
        environment = pulumi.Output.all(self._passwords.by_user, self._secrets.keys).apply(
            lambda made: host_environment(self._plan, passwords=made[0], keys=made[1])
        )
        made = {"backupIdentity": self._secrets.identity} if self._secrets.identity else {}
        return {
            "nodes": [_described(node) for node in topology.data_nodes],
            "sentinels": [_described(node) for node in topology.sentinels],
            "subnet": str(topology.subnet),
            "env": pulumi.Output.secret(environment),
            "ca": self._authority.certificate,
            "backupRecipients": self._secrets.recipients,
            "backupSigner": self._secrets.signer,
            **made,
        }

    def _make_surroundings(self, root: Path) -> Surroundings:
        config, topology = self._plan.config, self._plan.topology
        image = ImageArgs(root, topology.network, config.engine, config.base)
        return Surroundings(
            image_id=Image("node", image, self._child).image_id,
            network_name=Network("network", topology, self._child).network_name,
            authority_certificate=self._authority.certificate,
            limits=config.limits,
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


def _described(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "role": node.role,
        "address": node.host,
        "port": node.port,
        "hostPort": node.port,
        "container": node.container,
    }
