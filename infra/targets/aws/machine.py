"""One machine: an instance that can be thrown away, an address and a disk that can't.

Sentinel knows nodes by address, so the network interface stays when the instance goes; the data
is on a volume of its own, which is attached to whatever instance is there. An autoscaling group
would give a new address and an empty disk instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from infra.targets.aws.files import Member
from infra.targets.aws.managed import once_managed
from infra.targets.aws.surroundings import Surroundings
from infra.targets.aws.user_data import BootPlaces, user_data

# A name that EC2 asks for; Debian on Nitro sees the volume by its id.
DEVICE = "/dev/sdf"
READY_COMMAND = "/usr/local/bin/redis-ha-node-ready"
# Boot, installation and a full sync of a large data set; then `up` stops at this node.
READY_TIMEOUT_SECONDS = 1_800


@dataclass(frozen=True)
class Boot:
    """What a machine must be told to find its files: no secret, only where they are."""

    bucket: pulumi.Output[str]
    package_keys: tuple[str, ...]
    node_secret: pulumi.Output[str]
    worker_secret: pulumi.Output[str]
    log_group: str
    content: pulumi.Output[str]


@dataclass(frozen=True)
class InterfaceArgs:
    """A machine's place in the network: its subnet, and the group that lets others in."""

    around: Surroundings
    member: Member
    subnet_id: pulumi.Input[str]
    group_id: pulumi.Input[str]


def fixed_interface(args: InterfaceArgs, opts: pulumi.ResourceOptions) -> aws.ec2.NetworkInterface:
    """Declare the interface that has a machine's address, whatever instance it is at.

    Apart from the machine, since it comes before whatever else takes addresses of the subnet.
    """
    name = args.member.data.name
    return aws.ec2.NetworkInterface(
        f"{name}-interface",
        subnet_id=args.subnet_id,
        private_ips=[args.member.data.host],
        security_groups=[args.group_id],
        description=f"{name} of {args.around.base}",
        tags=args.around.tags(name),
        opts=opts,
    )


@dataclass(frozen=True)
class MachineArgs:
    """A machine of the plan: its place in the network, its rights, what it boots with.

    `boot` is what user-data says; `before` must be there, `after` must be ready before it is made.
    """

    around: Surroundings
    member: Member
    zone: str
    interface: aws.ec2.NetworkInterface
    key: pulumi.Input[str]
    profile: pulumi.Input[str]
    image: pulumi.Input[str]
    boot: Boot
    before: Sequence[pulumi.Resource] = field(default_factory=tuple)
    after: Sequence[pulumi.Resource] = field(default_factory=tuple)


class Machine(pulumi.ComponentResource):
    """A data node, a sentinel, a witness and a worker on one instance in one zone.

    `ready` is there once the node is in sync: what comes after it waits for that.
    """

    def __init__(
        self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("redis-ha:aws:Machine", name, None, opts)
        self._args = args
        self._name = name
        self._tags = args.around.tags(name)
        self.volume = self._make_volume()
        self.instance = self._make_instance(args.interface)
        attached = self._attach()
        self.ready = self._gate(attached)
        self.register_outputs({"address": args.member.data.host, "instance": self.instance.id})

    def _make_volume(self) -> aws.ebs.Volume:
        settings = self._args.around.plan.config.aws
        return aws.ebs.Volume(
            f"{self._name}-data",
            availability_zone=self._args.zone,
            size=settings.volume_gb,
            type="gp3",
            iops=settings.volume_iops,
            throughput=settings.volume_throughput,
            encrypted=True,
            kms_key_id=self._args.key,
            tags=self._tags,
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )

    def _make_instance(self, interface: aws.ec2.NetworkInterface) -> aws.ec2.Instance:
        settings = self._args.around.plan.config.aws
        return aws.ec2.Instance(
            f"{self._name}-instance",
            ami=self._args.image,
            instance_type=settings.instance_type,
            iam_instance_profile=self._args.profile,
            primary_network_interface={"network_interface_id": interface.id},
            user_data=self._user_data(),
            user_data_replace_on_change=True,
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            root_block_device={
                "volume_type": "gp3",
                "volume_size": settings.root_volume_gb,
                "encrypted": True,
                "kms_key_id": self._args.key,
                "delete_on_termination": True,
                "tags": self._tags,
            },
            monitoring=True,
            # A node that halts itself is stopped, never thrown away.
            instance_initiated_shutdown_behavior="stop",
            tags=self._tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*self._args.before, *self._args.after],
                # The address and the disk can only be at one instance.
                delete_before_replace=True,
                # In place it would stop and start without anybody waiting for it at the gate.
                replace_on_changes=["instance_type"],
                # Debian's next image must not replace three nodes; to take it, set `ami`. A node
                # that is replaced for another reason takes it all the same.
                ignore_changes=None if settings.ami else ["ami"],
            ),
        )

    def _user_data(self) -> pulumi.Output[str]:
        args, boot = self._args, self._args.boot

        def written(known: Sequence[str]) -> str:
            bucket, node_secret, worker_secret, volume_id, content = known
            places = BootPlaces(
                region=args.around.plan.config.aws.region,
                bucket=bucket,
                package_keys=boot.package_keys,
                node_secret=node_secret,
                worker_secret=worker_secret,
                volume_id=volume_id,
                log_group=boot.log_group,
                content=content,
            )
            return user_data(args.around.plan, args.member.data, places)

        return pulumi.Output.all(
            boot.bucket, boot.node_secret, boot.worker_secret, self.volume.id, boot.content
        ).apply(written)

    def _attach(self) -> aws.ec2.VolumeAttachment:
        return aws.ec2.VolumeAttachment(
            f"{self._name}-attachment",
            device_name=DEVICE,
            instance_id=self.instance.id,
            volume_id=self.volume.id,
            # The system shuts down first: a master hands over, and nothing is torn off in use.
            stop_instance_before_detaching=True,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _gate(self, attached: pulumi.Resource) -> aws.ssm.Association:
        """Wait, through Systems Manager, until the node says that it is in sync.

        An association that is made too early can be taken for done: see infra.targets.aws.managed.
        """
        return aws.ssm.Association(
            f"{self._name}-ready",
            name="AWS-RunShellScript",
            association_name=f"{self._args.around.base}-{self._name}-ready",
            targets=[{"key": "InstanceIds", "values": [self.instance.id]}],
            parameters={"commands": READY_COMMAND},
            wait_for_success_timeout_seconds=READY_TIMEOUT_SECONDS,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[attached],
                delete_before_replace=True,
                # It waits only when it is made. A new instance needs a new wait, and so does one
                # whose wait failed: without the engine's name for that the next `up` would take
                # it for done, since nothing of it has changed.
                replace_on_changes=["targets", "#initerror"],
                hooks=once_managed(self._args.around.plan.config.aws.region),
            ),
        )
