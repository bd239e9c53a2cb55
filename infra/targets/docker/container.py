"""What every container of the cluster has in common, in the forms the docker provider demands.

Values are written as the provider reads them back (durations as Go prints them, memory with
memory_swap, CAP names), else each `up` would replace what has not changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from infra.containers import (
    DROPPED_CAPABILITIES,
    FILE_GROUP,
    FILE_MODE,
    HEALTH_RETRIES,
    HEALTH_TIMEOUT,
    LOG_DRIVER,
    LOG_OPTIONS,
    PATHS,
    PUBLISHED_AT,
    RESTART,
    RUN_TMPFS,
    SECURITY_OPTIONS,
    SYSCTLS,
    USER,
    Container,
    volume_name,
)
from infra.credentials import Pair
from infra.live import MANIFEST, digest, manifest
from infra.targets.docker.leftovers import clearing
from infra.topology import Node


@dataclass(frozen=True)
class Surroundings:
    """What all containers of a stack share."""

    image_id: pulumi.Output[str]
    network_name: pulumi.Output[str]
    authority_certificate: pulumi.Output[str]


@dataclass(frozen=True)
class ContainerSpec:
    """One container of this stack: its files (by name below /etc/redis-ha) and its volumes.

    `volumes` maps a path in the container to a volume's name. An `up` goes on, and ends well,
    while one that is not awaited is still starting. One with `fixed` takes changed files while it
    runs, and is replaced when `fixed` changes: a digest of what only a new container has.
    """

    what: Container
    around: Surroundings
    files: Mapping[str, pulumi.Output[str]]
    volumes: Mapping[str, pulumi.Output[str]]
    pair: Pair | None = None
    fixed: pulumi.Input[str] | None = None
    after: Sequence[pulumi.Resource] = field(default_factory=tuple)


def make_container(spec: ContainerSpec, parent: pulumi.Resource) -> docker.Container:
    """Declare the container; it is healthy before anything that depends on it is touched."""
    what, node, limits = spec.what, spec.what.node, spec.what.limits
    carried = what.sealed or spec.fixed is not None
    carrier = Carrier(spec, pulumi.ResourceOptions(parent=parent)) if carried else None
    return docker.Container(
        f"{node.name}-container",
        docker.ContainerArgs(
            name=node.container,
            hostname=node.container,
            image=spec.around.image_id,
            entrypoints=[what.program],
            command=list(what.arguments),
            envs=list(what.environment) or None,
            user=USER,
            working_dir=PATHS.data,
            group_adds=[FILE_GROUP],
            capabilities=docker.ContainerCapabilitiesArgs(drops=list(DROPPED_CAPABILITIES)),
            security_opts=list(SECURITY_OPTIONS),
            restart=RESTART,
            must_run=True,
            memory=what.memory_mb,
            memory_swap=what.memory_swap_mb,
            cpus=limits.cpus if limits.cpus != "0" else None,
            ulimits=_ulimits(what),
            sysctls=SYSCTLS,
            tmpfs={PATHS.run: RUN_TMPFS},
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(
                    name=spec.around.network_name, ipv4_address=node.host
                )
            ],
            ports=_ports(node) if what.published else None,
            read_only=what.sealed or None,
            volumes=_volumes(spec.volumes) + ([carrier.mounted] if carrier else []),
            uploads=None if carrier else _uploads(spec),
            labels=_labels(spec, carrier),
            log_driver=LOG_DRIVER,
            log_opts=LOG_OPTIONS,
            healthcheck=_healthcheck(what),
            wait=what.awaited,
            wait_timeout=what.start_wait_seconds,
            # A delete is a SIGKILL unless this is set; a master needs the time to hand over.
            destroy_grace_seconds=limits.stop_grace_seconds,
            stop_timeout=limits.stop_grace_seconds,
        ),
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=[*spec.after, *([carrier.container] if carrier else [])],
            delete_before_replace=True,
            hooks=clearing(),
            # The provider only notes a change of these; the running container would keep the old.
            replace_on_changes=["healthcheck", "tmpfs"],
        ),
    )


class Carrier(pulumi.ComponentResource):
    """Brings a container's files into a volume: Docker copies none past a read-only root, and into
    a running container only by replacing it.

    It is a container that is never started. When a file changes it is made anew; the label with
    its id then replaces a sealed container as well, while one that watches its files goes on.
    """

    mounted: docker.ContainerVolumeArgs

    def __init__(self, spec: ContainerSpec, opts: pulumi.ResourceOptions | None = None) -> None:
        node = spec.what.node
        super().__init__("redis-ha:docker:Carrier", node.name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        volume = make_volume(node, "files", child)
        made = self.container = docker.Container(
            f"{node.name}-files-carrier",
            docker.ContainerArgs(
                name=f"{node.container}-files",
                image=spec.around.image_id,
                entrypoints=["true"],
                command=["never started"],
                user=USER,
                working_dir=PATHS.data,
                capabilities=docker.ContainerCapabilitiesArgs(drops=list(DROPPED_CAPABILITIES)),
                security_opts=list(SECURITY_OPTIONS),
                network_mode="none",
                start=False,
                must_run=False,
                volumes=_volumes({PATHS.config: volume.name}),
                uploads=_uploads(spec),
                labels=_labels(spec, None),
                log_driver="none",
            ),
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True, hooks=clearing()),
        )
        self.carried: pulumi.Output[str] = made.id
        self.mounted = docker.ContainerVolumeArgs(
            container_path=PATHS.config, volume_name=volume.name, read_only=True
        )
        self.register_outputs({"volume": volume.name})


def make_volume(node: Node, purpose: str, opts: pulumi.ResourceOptions) -> docker.Volume:
    """Declare a named volume of a node; it outlives its container."""
    return docker.Volume(f"{node.name}-{purpose}", name=volume_name(node, purpose), opts=opts)


def go_duration(seconds: int) -> str:
    """Write whole seconds as Go's Duration prints them, which is what the provider compares."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _healthcheck(what: Container) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *what.health],
        interval=go_duration(what.health_interval),
        timeout=go_duration(HEALTH_TIMEOUT),
        start_period=go_duration(what.start_wait_seconds),
        retries=HEALTH_RETRIES,
    )


def _ulimits(what: Container) -> list[docker.ContainerUlimitArgs]:
    return [
        docker.ContainerUlimitArgs(name=name, soft=value, hard=value)
        for name, value in what.ulimits.items()
    ]


def _ports(node: Node) -> list[docker.ContainerPortArgs]:
    return [docker.ContainerPortArgs(internal=node.port, external=node.port, ip=PUBLISHED_AT)]


def _volumes(volumes: Mapping[str, pulumi.Output[str]]) -> list[docker.ContainerVolumeArgs]:
    return [
        docker.ContainerVolumeArgs(container_path=path, volume_name=name)
        for path, name in volumes.items()
    ]


def contents(spec: ContainerSpec) -> dict[str, pulumi.Output[str]]:
    """Give all files of a container by name, certificates among them."""
    certificates = {"tls/ca.crt": spec.around.authority_certificate}
    if spec.pair:
        certificates["tls/node.crt"] = spec.pair.certificate
        certificates["tls/node.key"] = spec.pair.private_key
    return {**spec.files, **certificates}


def contents_digest(spec: ContainerSpec) -> pulumi.Output[str]:
    """Name the state of a container's files; it is no secret."""
    return pulumi.Output.unsecret(_manifest(spec).apply(digest))


def _manifest(spec: ContainerSpec) -> pulumi.Output[str]:
    return pulumi.Output.all(**contents(spec)).apply(manifest)


def _uploads(spec: ContainerSpec) -> list[docker.ContainerUploadArgs]:
    files = contents(spec)
    if spec.fixed is not None:
        files[MANIFEST] = _manifest(spec)
    return [
        docker.ContainerUploadArgs(
            file=f"{PATHS.config}/{name}", content=content, permissions=FILE_MODE
        )
        for name, content in files.items()
    ]


def _labels(spec: ContainerSpec, carrier: Carrier | None) -> list[docker.ContainerLabelArgs]:
    labels: dict[str, pulumi.Input[str]] = dict(spec.what.labels)
    if spec.fixed is not None:
        labels["redis-ha.fixed"] = spec.fixed
    elif carrier:
        labels["redis-ha.files"] = carrier.carried
    return [docker.ContainerLabelArgs(label=k, value=v) for k, v in labels.items()]
