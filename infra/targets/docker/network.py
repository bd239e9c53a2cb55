"""The bridge network on which every node has a fixed address."""

import pulumi
import pulumi_docker as docker

from infra.topology import Topology


class Network(pulumi.ComponentResource):
    """A bridge of its own: fixed addresses keep DNS out of the failover path."""

    network_name: pulumi.Output[str]

    def __init__(
        self, name: str, topology: Topology, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:docker:Network", name, None, opts)
        network = docker.Network(
            f"{name}-bridge",
            name=topology.network,
            driver="bridge",
            ipam_configs=[{"subnet": str(topology.subnet), "gateway": topology.gateway}],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.network_name = network.name
        self.register_outputs({"name": network.name, "subnet": str(topology.subnet)})
