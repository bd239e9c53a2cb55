"""What every container of the cluster has in common, in the forms the docker provider demands.

Values are written as the provider reads them back (durations as Go prints them, memory with
memory_swap, CAP names), else each `up` would replace what has not changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from infra.config import Limits
from infra.credentials import Pair
from infra.rendering import Paths
from infra.topology import Node

USER = "10001:10001"
# Files are uploaded as root:root 0440; the node's user reads them through this group.
FILE_GROUP = "0"
FILE_MODE = "0440"
RUN_TMPFS = "rw,noexec,nosuid,nodev,size=1m,mode=0700,uid=10001,gid=10001"
HEALTH_TIMEOUT, HEALTH_RETRIES = 5, 3
# Who is waited for is asked often, so that nobody waits in vain.
HEALTH_INTERVAL, HEALTH_INTERVAL_UNAWAITED = 2, 10
PATHS = Paths()


@dataclass(frozen=True)
class Surroundings:
    """What all containers of a stack share."""

    image_id: pulumi.Output[str]
    network_name: pulumi.Output[str]
    authority_certificate: pulumi.Output[str]
    limits: Limits


@dataclass(frozen=True)
class ContainerSpec:
    """One container: its node, its program, its files (by name below /etc/redis-ha), its volumes.

    `volumes` maps a path in the container to a volume's name; `environment` holds no secrets, for
    everybody who may inspect the container sees them. `health` is the check's command.
    A container that is `sealed` has a root file system that nobody can write to. One that is not
    `awaited` holds nobody up: an `up` goes on, and ends well, while it is still starting.
    """

    node: Node
    around: Surroundings
    entrypoint: str
    command: Sequence[str]
    memory_mb: int
    start_wait_seconds: int
    files: Mapping[str, pulumi.Output[str]]
    volumes: Mapping[str, pulumi.Output[str]]
    pair: Pair | None = None
    health: Sequence[str] = ("redis-ha-health",)
    environment: Sequence[str] = ()
    published: bool = True
    sealed: bool = False
    awaited: bool = True
    after: Sequence[pulumi.Resource] = field(default_factory=tuple)


def make_container(spec: ContainerSpec, parent: pulumi.Resource) -> docker.Container:
    """Declare the container; it is healthy before anything that depends on it is touched."""
    node, limits = spec.node, spec.around.limits
    carrier = Carrier(spec, pulumi.ResourceOptions(parent=parent)) if spec.sealed else None
    return docker.Container(
        f"{node.name}-container",
        docker.ContainerArgs(
            name=node.container,
            hostname=node.container,
            image=spec.around.image_id,
            entrypoints=[spec.entrypoint],
            command=list(spec.command),
            envs=list(spec.environment) or None,
            user=USER,
            working_dir=PATHS.data,
            group_adds=[FILE_GROUP],
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            restart="unless-stopped",
            must_run=True,
            memory=spec.memory_mb,
            memory_swap=2 * spec.memory_mb,
            cpus=limits.cpus if limits.cpus != "0" else None,
            ulimits=_ulimits(limits),
            sysctls={"net.core.somaxconn": "1024"},
            tmpfs={PATHS.run: RUN_TMPFS},
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(
                    name=spec.around.network_name, ipv4_address=node.host
                )
            ],
            ports=_ports(node) if spec.published else None,
            read_only=spec.sealed or None,
            volumes=_volumes(spec.volumes) + ([carrier.mounted] if carrier else []),
            uploads=None if carrier else _uploads(spec),
            labels=_labels(node, carrier),
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            healthcheck=_healthcheck(spec),
            wait=spec.awaited,
            wait_timeout=spec.start_wait_seconds,
            # A delete is a SIGKILL unless this is set; a master needs the time to hand over.
            destroy_grace_seconds=limits.stop_grace_seconds,
            stop_timeout=limits.stop_grace_seconds,
        ),
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=list(spec.after),
            delete_before_replace=True,
            # The provider only notes a change of these; the running container would keep the old.
            replace_on_changes=["healthcheck", "tmpfs"],
        ),
    )


class Carrier(pulumi.ComponentResource):
    """Brings a sealed container's files into a volume: Docker copies none past a read-only root.

    It is a container that is never started. When a file changes it is made anew, and the label
    with its id then replaces the sealed container as well.
    """

    mounted: docker.ContainerVolumeArgs

    def __init__(self, spec: ContainerSpec, opts: pulumi.ResourceOptions | None = None) -> None:
        node = spec.node
        super().__init__("redis-ha:docker:Carrier", node.name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        volume = make_volume(node, "files", child)
        made = docker.Container(
            f"{node.name}-files-carrier",
            docker.ContainerArgs(
                name=f"{node.container}-files",
                image=spec.around.image_id,
                entrypoints=["true"],
                command=["never started"],
                user=USER,
                working_dir=PATHS.data,
                capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
                security_opts=["no-new-privileges:true"],
                network_mode="none",
                start=False,
                must_run=False,
                volumes=_volumes({PATHS.config: volume.name}),
                uploads=_uploads(spec),
                labels=_labels(node, None),
                log_driver="none",
            ),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        self.carried: pulumi.Output[str] = made.id
        self.mounted = docker.ContainerVolumeArgs(
            container_path=PATHS.config, volume_name=volume.name, read_only=True
        )
        self.register_outputs({"volume": volume.name})


def make_volume(node: Node, purpose: str, opts: pulumi.ResourceOptions) -> docker.Volume:
    """Declare a named volume of a node; it outlives its container."""
    return docker.Volume(f"{node.name}-{purpose}", name=f"{node.container}-{purpose}", opts=opts)


def go_duration(seconds: int) -> str:
    """Write whole seconds as Go's Duration prints them, which is what the provider compares."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _healthcheck(spec: ContainerSpec) -> docker.ContainerHealthcheckArgs:
    interval = HEALTH_INTERVAL if spec.awaited else HEALTH_INTERVAL_UNAWAITED
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *spec.health],
        interval=go_duration(interval),
        timeout=go_duration(HEALTH_TIMEOUT),
        start_period=go_duration(spec.start_wait_seconds),
        retries=HEALTH_RETRIES,
    )


def _ulimits(limits: Limits) -> list[docker.ContainerUlimitArgs]:
    """Bound open files, and processes: the provider knows no pids limit."""
    return [
        docker.ContainerUlimitArgs(name=name, soft=value, hard=value)
        for name, value in (("nofile", limits.max_open_files), ("nproc", limits.max_processes))
    ]


def _ports(node: Node) -> list[docker.ContainerPortArgs]:
    return [docker.ContainerPortArgs(internal=node.port, external=node.port, ip="127.0.0.1")]


def _volumes(volumes: Mapping[str, pulumi.Output[str]]) -> list[docker.ContainerVolumeArgs]:
    return [
        docker.ContainerVolumeArgs(container_path=path, volume_name=name)
        for path, name in volumes.items()
    ]


def _uploads(spec: ContainerSpec) -> list[docker.ContainerUploadArgs]:
    certificates = {"tls/ca.crt": spec.around.authority_certificate}
    if spec.pair:
        certificates["tls/node.crt"] = spec.pair.certificate
        certificates["tls/node.key"] = spec.pair.private_key
    return [
        docker.ContainerUploadArgs(
            file=f"{PATHS.config}/{name}", content=content, permissions=FILE_MODE
        )
        for name, content in {**spec.files, **certificates}.items()
    ]


def _labels(node: Node, carrier: Carrier | None) -> list[docker.ContainerLabelArgs]:
    labels: dict[str, pulumi.Input[str]] = {
        "redis-ha.node": node.name,
        "redis-ha.role": node.role,
    }
    if carrier:
        labels["redis-ha.files"] = carrier.carried
    return [docker.ContainerLabelArgs(label=k, value=v) for k, v in labels.items()]
